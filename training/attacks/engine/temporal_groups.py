"""Groups of segments that an attack moves together, wholly or in part."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from preprocessing.settings import Settings


class TemporalGroups(Settings):
    """Groups of neighbouring segments that share their perturbation, or the gradient it follows.

        g_t <- (1 - s) g_t + s mean_tau g_tau,    tau over the group of t

    A perturbation that must serve several moments cannot lean on what only one of them shows: a hard form of TIA's
    wish. Wholly shared (s = 1) it also has fewer numbers to choose, so it fools its own model less often; half shared
    over the whole clip, other models are fooled more often than without (`make bench-transfer`). (Not
    `crafting.sharing`, which attacks a sample of the segments to save time in training.)
    """

    segments: PositiveInt | Literal["all"] = 1
    """Segments per group, counted from the clip's start, the last group may be smaller; `all`: the clip is one group;
    1 = nothing is shared."""
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """s: how much of a segment's gradient is its group's mean, the rest is its own; 0 = nothing is shared."""
    of: Literal["gradient", "perturbation"] = "gradient"
    """`gradient`: every segment follows its group's mean gradient from where it is. `perturbation`: the group has one
    perturbation, cut off at each segment's own box; they differ at saturated values and after random starts."""

    @model_validator(mode="after")
    def _one_perturbation_is_whole(self) -> TemporalGroups:
        if self.of == "perturbation" and self.strength != 1:
            raise ValueError(
                f"strength={self.strength:g} with of=perturbation: a group has one perturbation or has not; "
                "set strength=1, or of=gradient"
            )
        return self

    @property
    def is_on(self) -> bool:
        """Whether anything is shared."""
        return self.segments != 1 and self.strength > 0

    def average(self, stream: Float[Tensor, "batch segments *shape"]) -> Float[Tensor, "batch segments *shape"]:
        """Each segment's value moved to its group's mean, by the strength."""
        if not self.is_on or stream.shape[1] == 1:
            return stream
        size = stream.shape[1] if self.segments == "all" else self.segments
        groups = torch.arange(stream.shape[1], device=stream.device) // size
        num_groups = int(groups[-1]) + 1
        sums = stream.new_zeros(len(stream), num_groups, *stream.shape[2:]).index_add_(1, groups, stream)
        sizes = groups.bincount().to(stream.dtype).reshape(1, -1, *([1] * (stream.dim() - 2)))
        means = (sums / sizes).index_select(1, groups)
        return means if self.strength == 1 else stream.lerp(means, self.strength)
