"""Copies of clips, for attacks that look at what features keep when the input is transformed.

Every transform works on frames, log-mel patches and waveforms alike, is differentiable, maps a box that holds 0 into
itself, and takes a clip's randomness from its own numbers: a clip's copy does not depend on its batch.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from training.attacks.engine.randomness import clip_generator
from training.batch import Batch, gather_segments, per_clip

TransformName = Literal["scale", "mask", "blur", "mixup"]
# The paper names the transforms and none of their parameters (arXiv:2502.11858): these keep a clip recognisable.
SMALLEST_SCALE = 0.5
MASKED_SHARE = 0.25
LARGEST_MIX = 0.5

Stream = Float[Tensor, "batch segments *shape"]
Draws = Float[Tensor, "batch draws"]


def transformed(batch: Batch, transform: TransformName, generator: torch.Generator, purpose: str) -> Batch:
    """A copy of both streams of each clip; seed, key and `purpose` decide it."""
    draws = {
        name: torch.stack(
            [torch.rand(4, generator=clip_generator(generator, key, f"{purpose} {name}")) for key in batch.keys]
        )
        for name in ("video", "audio")
    }
    return batch.with_streams(
        video=_apply(transform, batch.video, draws["video"].to(batch.video)),
        audio=_apply(transform, batch.audio, draws["audio"].to(batch.audio)),
    )


def _apply(transform: TransformName, stream: Stream, draws: Draws) -> Stream:
    match transform:
        case "scale":
            return scale(stream, draws)
        case "mask":
            return mask(stream, draws)
        case "blur":
            return blur(stream)
        case "mixup":
            return mixup(stream, draws)


def scale(stream: Stream, draws: Draws) -> Stream:
    """Every value times one factor per clip in [0.5, 1]."""
    return stream * per_clip(1.0 - (1.0 - SMALLEST_SCALE) * draws[:, 0], stream)


def mask(stream: Stream, draws: Draws) -> Stream:
    """Zero in one block per clip, the same in all segments: a quarter of the picture, of the patch or of the samples.

    Each of the block's sides has the same share of the stream's, and lies anywhere.
    """
    shape = stream.shape[3:] if stream.dim() == 5 else stream.shape[2:]  # the colours of a frame are masked together
    share = MASKED_SHARE ** (1.0 / len(shape))
    inside = torch.ones(len(stream), *([1] * (stream.dim() - 1)), dtype=torch.bool, device=stream.device)
    for axis, size in enumerate(shape):
        width = max(1, round(share * size))
        start = (draws[:, axis] * (size - width + 1)).floor()[:, None]
        places = torch.arange(size, device=stream.device)[None]
        ones = [1] * len(shape)
        ones[axis] = size
        covered = (places >= start) & (places < start + width)
        inside = inside & covered.reshape(len(stream), *([1] * (stream.dim() - 1 - len(shape))), *ones)
    return stream.masked_fill(inside, 0.0)


def blur(stream: Stream) -> Stream:
    """Each value averaged with its neighbours: 3 x 3 of a frame or patch, 3 samples of a waveform; nothing random."""
    if stream.dim() == 3:
        return functional.avg_pool1d(stream, 3, stride=1, padding=1, count_include_pad=False)
    planes = stream.flatten(0, 1)
    blurred = functional.avg_pool2d(planes, 3, stride=1, padding=1, count_include_pad=False)
    return blurred.reshape(stream.shape)


def mixup(stream: Stream, draws: Draws) -> Stream:
    """Each segment mixed with another one of its clip, at one distance in time and one share in [0, 0.5] per clip.

    Mixing with other clips, as the name comes from, would let a clip's result depend on its batch. A clip of one
    segment stays as it is.
    """
    num_segments = stream.shape[1]
    if num_segments == 1:
        return stream
    distance = 1 + (draws[:, 0] * (num_segments - 1)).long()
    index = (torch.arange(num_segments, device=stream.device)[None] + distance[:, None]) % num_segments
    share = per_clip(LARGEST_MIX * draws[:, 1], stream)
    return (1.0 - share) * stream + share * gather_segments(stream, index)
