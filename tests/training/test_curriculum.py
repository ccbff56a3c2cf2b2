from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from training.batch import Batch
from training.curriculum import AnySchedule, Constant, Cosine, Curriculum, Linear, Schedule, Step, mask_segments


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(value=3), [3, 3, 3, 3, 3]),
        (Linear(start=1, end=5), [1, 2, 3, 4, 5]),
        (Linear(start=1, end=5, until=0.5), [1, 3, 5, 5, 5]),
        (Cosine(start=0, end=1), [0, 0.1464466, 0.5, 0.8535534, 1]),
        (Step(levels=(1, 2, 4), starts=(0, 0.5, 1)), [1, 1, 2, 2, 4]),
        (Step(levels=(1, 2), starts=(0.3, 0.75)), [1, 1, 1, 2, 2]),
    ],
    ids=str,
)
def test_schedules_give_these_values_at_quarters(schedule: Schedule, expected: list[float]) -> None:
    assert [schedule.at(progress) for progress in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx(expected)


def test_a_plain_number_is_a_constant() -> None:
    assert TypeAdapter(AnySchedule).validate_python(0.25) == Constant(value=0.25)
    assert Curriculum.model_validate({"mask_ratio": 0.5}).mask_ratio == Constant(value=0.5)


@pytest.mark.parametrize("starts", [(0, 0.5), (0.5, 0.2, 0.9), (0, 0.5, 1.5)])
def test_steps_need_one_ascending_start_per_level(starts: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="must be 3 ascending numbers"):
        Step(levels=(1, 2, 3), starts=starts)


def test_values_out_of_range_are_all_named() -> None:
    with pytest.raises(ValidationError, match=r"sampling_ratio: 0 is outside.*mask_ratio: 1.5 is outside"):
        Curriculum(sampling_ratio=Linear(start=0, end=1), mask_ratio=Constant(value=1.5))


def test_attack_steps_are_whole() -> None:
    curriculum = Curriculum(attack_steps=Linear(start=1, end=4))
    assert [curriculum.at(progress)["attack_steps"] for progress in (0.0, 0.2, 0.5, 1.0)] == [1.0, 2.0, 2.0, 4.0]


def test_synchronous_masks_blank_the_same_segments_of_both_modalities(batch: Batch, generator: torch.Generator) -> None:
    masked = mask_segments(batch, 0.5, "synchronous", generator)
    video_blank = masked.video.flatten(2).amax(2) == 0
    assert (video_blank.sum(1) == 2).all()
    assert torch.equal(video_blank, masked.audio.flatten(2).amax(2) == 0)
    assert torch.equal(masked.video[~video_blank], batch.video[~video_blank])


def test_asynchronous_masks_differ_between_modalities(batch: Batch, generator: torch.Generator) -> None:
    masked = mask_segments(batch, 0.5, "asynchronous", generator)
    blanks = [stream.flatten(2).amax(2) == 0 for stream in (masked.video, masked.audio)]
    assert (blanks[0].sum(1) == 2).all()
    assert (blanks[1].sum(1) == 2).all()
    assert not torch.equal(*blanks)


def test_at_least_one_segment_stays(batch: Batch, generator: torch.Generator) -> None:
    masked = mask_segments(batch, 0.99, "synchronous", generator)
    assert ((masked.video.flatten(2).amax(2) > 0).sum(1) == 1).all()


def test_ratio_zero_masks_nothing(batch: Batch, generator: torch.Generator) -> None:
    assert mask_segments(batch, 0.0, "synchronous", generator) is batch
