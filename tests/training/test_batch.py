from __future__ import annotations

import torch

from training.batch import Batch


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
