"""Masking: blank some of the segments of each clip."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from training.attacks.engine.randomness import clip_generator
from training.batch import Batch

Masking = Literal["synchronous", "asynchronous"]
"""`synchronous`: both modalities lose the same segments; `asynchronous`: each its own."""
MaskLayout = Literal["scattered", "contiguous"]
"""`scattered`: each segment is drawn for itself; `contiguous`: one stretch of neighbours is."""


def mask_segments(
    batch: Batch,
    mask_ratio: float,
    generator: torch.Generator,
    *,
    masking: Masking = "synchronous",
    layout: MaskLayout = "scattered",
) -> Batch:
    """Blank `mask_ratio` of each clip's segments: black frames and silence (arXiv:2502.11858, Section 3).

    At least one segment stays. What is blanked is decided by the generator's seed and the clip's key.
    """
    num_masked = min(round(mask_ratio * batch.num_segments), batch.num_segments - 1)
    if num_masked == 0:
        return batch
    video_mask = _random_mask(batch, num_masked, generator, layout=layout, purpose="mask")
    audio_mask = video_mask
    if masking == "asynchronous":
        audio_mask = _random_mask(batch, num_masked, generator, layout=layout, purpose="audio mask")
    return batch.with_streams(
        batch.video.masked_fill(video_mask[:, :, None, None, None], 0.0),
        batch.audio.masked_fill(audio_mask.reshape(*audio_mask.shape, *([1] * (batch.audio.dim() - 2))), 0.0),
    )


def _random_mask(
    batch: Batch, num_masked: int, generator: torch.Generator, *, layout: MaskLayout, purpose: str
) -> Bool[Tensor, "batch segments"]:
    num_draws = batch.num_segments if layout == "scattered" else batch.num_segments - num_masked + 1
    draws = torch.stack(
        [torch.rand(num_draws, generator=clip_generator(generator, key, purpose)) for key in batch.keys]
    )
    if layout == "scattered":
        masked = draws.argsort(dim=1)[:, :num_masked]
    else:  # every place that a stretch of this length can have is equally likely
        masked = draws.argmin(dim=1, keepdim=True) + torch.arange(num_masked)
    mask = torch.zeros(len(batch), batch.num_segments, dtype=torch.bool)
    return mask.scatter(1, masked, True).to(batch.video.device)
