"""Groups of neighbouring segments that an attack moves together."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor

from preprocessing.settings import Settings


class TemporalGroups(Settings):
    """Groups of neighbouring segments that share their perturbation, or the gradient it follows.

    A perturbation that must serve several moments cannot lean on what only one of them shows: a hard form of TIA's
    wish. It also has fewer numbers to choose, so it fools its own model less often; `make bench-transfer` measures what
    other models make of it. (Not `crafting.sharing`, which attacks a sample of the segments to save time in training.)
    """

    segments: PositiveInt = 1
    """Segments per group, counted from the clip's start, the last group may be smaller; 1 = nothing is shared."""
    of: Literal["gradient", "perturbation"] = "gradient"
    """`gradient`: every segment follows its group's mean gradient from where it is. `perturbation`: the group has one
    perturbation, cut off at each segment's own box; they differ at saturated values and after random starts."""

    def average(self, stream: Float[Tensor, "batch segments *shape"]) -> Float[Tensor, "batch segments *shape"]:
        """Each segment's value replaced by its group's mean."""
        if self.segments == 1 or stream.shape[1] == 1:
            return stream
        groups = torch.arange(stream.shape[1], device=stream.device) // self.segments
        num_groups = int(groups[-1]) + 1
        sums = stream.new_zeros(len(stream), num_groups, *stream.shape[2:]).index_add_(1, groups, stream)
        sizes = groups.bincount().to(stream.dtype).reshape(1, -1, *([1] * (stream.dim() - 2)))
        return (sums / sizes).index_select(1, groups)
