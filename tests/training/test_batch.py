from __future__ import annotations

import torch

from tests.training.conftest import random_starts
from training.batch import MODALITIES, Batch


def test_selected_segments_are_the_same_of_both_modalities(batch: Batch) -> None:
    index = torch.tensor([[2, 0]] * len(batch))
    chosen = batch.select_segments(index)
    assert chosen.num_segments == 2
    assert torch.equal(chosen.video, batch.video[:, [2, 0]])
    assert torch.equal(chosen.audio, batch.audio[:, [2, 0]])
    assert chosen.keys == batch.keys


def test_each_clip_may_select_its_own_segments(batch: Batch) -> None:
    index = torch.arange(len(batch))[:, None] % batch.num_segments
    chosen = batch.select_segments(index)
    for clip in range(len(batch)):
        assert torch.equal(chosen.video[clip, 0], batch.video[clip, clip % batch.num_segments])


def test_starts_go_with_their_clips_and_segments(batch: Batch) -> None:
    starts = random_starts(batch, without=(2,))
    begun = batch.with_starts(starts)
    rows = torch.tensor([5, 2])
    index = torch.tensor([[3, 1]] * 2)
    chosen = begun.select(rows).select_segments(index).to("cpu").starts
    assert chosen
    assert chosen.is_known.tolist() == [True, False]
    for name in MODALITIES:
        assert torch.equal(chosen.stream(name), starts.stream(name)[rows][:, [3, 1]])
    assert batch.select(rows).select_segments(index).starts is None
