from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from training.metrics import Means, ModalityGap, TimedIterator
from training.models import Outputs

CPU = torch.device("cpu")


def test_means_weigh_batches_by_their_clips() -> None:
    """(3 x 1.0 + 1 x 5.0) / 4 = 2."""
    means = Means()
    means.add({"loss": torch.tensor(1.0)}, weight=3)
    means.add({"loss": torch.tensor(5.0)}, weight=1)
    assert means.reduce(CPU) == {"loss": 2.0}


def test_nothing_added_means_zero() -> None:
    assert Means("accuracy").reduce(CPU) == {"accuracy": 0.0}


def test_small_contributions_are_not_lost() -> None:
    """A million times 0.1 in double precision; single precision would be off by a percent."""
    means = Means()
    for _ in range(1000):
        means.add({"loss": torch.tensor(0.1, dtype=torch.float64)}, weight=1000)
    assert means.reduce(CPU)["loss"] == pytest.approx(0.1, rel=1e-12)


def test_waiting_counts_only_the_time_items_take() -> None:
    def slow() -> Iterator[int]:
        for item in range(3):
            time.sleep(0.01)
            yield item

    items = TimedIterator(slow())
    taken = []
    for item in items:
        time.sleep(0.02)
        taken.append(item)
    assert taken == [0, 1, 2]
    assert items.seconds >= 0.03


def test_workers_agree_on_means(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two processes; the second adds nothing to the means: it had no batch."""
    meeting = tmp_path_factory.mktemp("meeting") / "file"
    spawn(_one_of_two, args=(str(meeting),), nprocs=2)  # type: ignore[no-untyped-call]


def _one_of_two(rank: int, meeting: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    means = Means("accuracy")
    if rank == 0:
        means.add({"accuracy": torch.tensor(0.5)}, weight=7)
    assert means.reduce(CPU) == {"accuracy": 0.5}
    distributed.destroy_process_group()


def test_the_modality_gap_is_the_distance_of_the_means_and_agreement_the_mean_cosine() -> None:
    """Clips look along x and x, and sound along x and y: means (1, 0) and (1/2, 1/2), cosines 1 and 0."""
    gap = ModalityGap(2)
    logits = torch.zeros(1, 3)
    right, up = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[0.0, 5.0]]])
    for video, audio in ((right, right), (right, up)):
        gap.add(Outputs(logits=logits, video_features=video, audio_features=audio))
    gap.add(Outputs(logits=logits, video_features=right * torch.inf, audio_features=up))  # lies nowhere
    found = gap.reduce(CPU)
    assert found["modality_gap"] == pytest.approx(0.5**0.5)
    assert found["modality_agreement"] == pytest.approx(0.5)


def test_a_clip_s_features_are_averaged_over_its_segments_before_they_are_brought_to_length_one() -> None:
    """Video at (3, 0) and (0, 1) has the mean (1.5, 0.5), which is (3, 1) / sqrt(10); sound is (1, 0) throughout.

    Their cosine is 3 / sqrt(10) = 0.949, their distance sqrt(2 - 6 / sqrt(10)). Segments brought to length one first
    would give (1, 1) / sqrt(2) and the cosine 0.707.
    """
    gap = ModalityGap(2)
    video = torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])
    audio = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    gap.add(Outputs(logits=torch.zeros(1, 3), video_features=video, audio_features=audio))
    found = gap.reduce(CPU)
    assert found["modality_agreement"] == pytest.approx(3 / 10**0.5)
    assert found["modality_gap"] == pytest.approx((2 - 6 / 10**0.5) ** 0.5)
