from __future__ import annotations

from collections import Counter

import pytest
import torch
from jaxtyping import Bool
from torch import Tensor

from tests.training.conftest import random_batch
from training.batch import Batch
from training.curriculum.masking import MaskLayout, mask_segments

LAYOUTS: list[MaskLayout] = ["scattered", "contiguous"]


def blank_segments(stream: Tensor) -> Bool[Tensor, "batch segments"]:
    return stream.flatten(2).amax(2) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_synchronous_masks_blank_the_same_segments_of_both_modalities(
    batch: Batch, generator: torch.Generator, layout: MaskLayout
) -> None:
    masked = mask_segments(batch, 0.5, generator, layout=layout)
    video_blank = blank_segments(masked.video)
    assert (video_blank.sum(1) == 2).all()
    assert torch.equal(video_blank, blank_segments(masked.audio))
    assert torch.equal(masked.video[~video_blank], batch.video[~video_blank])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_asynchronous_masks_differ_between_modalities(
    batch: Batch, generator: torch.Generator, layout: MaskLayout
) -> None:
    masked = mask_segments(batch, 0.5, generator, masking="asynchronous", layout=layout)
    video_blank, audio_blank = blank_segments(masked.video), blank_segments(masked.audio)
    assert (video_blank.sum(1) == 2).all()
    assert (audio_blank.sum(1) == 2).all()
    assert not torch.equal(video_blank, audio_blank)


def test_a_contiguous_mask_is_one_stretch_that_may_lie_anywhere(generator: torch.Generator) -> None:
    """Three of eight segments have six places; of 120 clips each place has about 20."""
    batch = random_batch(120, num_segments=8)
    blank = blank_segments(mask_segments(batch, 3 / 8, generator, layout="contiguous").video)
    places = [row.nonzero()[:, 0].tolist() for row in blank]
    assert all(place == [place[0], place[0] + 1, place[0] + 2] for place in places)
    counts = Counter(place[0] for place in places)
    assert set(counts) == set(range(6))
    assert min(counts.values()) >= 8


def test_a_scattered_mask_is_more_than_one_stretch(generator: torch.Generator) -> None:
    blank = blank_segments(mask_segments(random_batch(20, num_segments=8), 3 / 8, generator).video)
    assert any((row.nonzero()[:, 0].diff() > 1).any() for row in blank)


def test_at_least_one_segment_stays(batch: Batch, generator: torch.Generator) -> None:
    masked = mask_segments(batch, 0.99, generator)
    assert ((~blank_segments(masked.video)).sum(1) == 1).all()


def test_ratio_zero_masks_nothing(batch: Batch, generator: torch.Generator) -> None:
    assert mask_segments(batch, 0.0, generator) is batch
