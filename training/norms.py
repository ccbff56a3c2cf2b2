"""The norms that budgets are measured in. A new one is a class with three methods here, and a line in `NORMS`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from pydantic import AfterValidator
from torch import Tensor

from training.batch import per_clip


class Norm(ABC):
    """The length of a clip's change, the nearest change that is short enough, and the steepest one.

    These three are what a norm has to say; everything else follows from them. Changes are `[batch, *shape]`, and each
    clip's is measured alone.
    """

    is_per_value: ClassVar[bool] = False
    """Every value has the whole budget to itself: changing one leaves the others as much as before."""

    @abstractmethod
    def length(self, delta: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """Length of each clip's change."""

    @abstractmethod
    def into_ball(self, delta: Float[Tensor, "batch *shape"], epsilon: float) -> Float[Tensor, "batch *shape"]:
        """The nearest change of length `epsilon` or less."""

    @abstractmethod
    def steepest(self, gradient: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """The change of length 1 along which a loss with this gradient rises fastest; 0 where there is no gradient."""

    def project(
        self, moved: Float[Tensor, "batch *shape"], clean: Float[Tensor, "batch *shape"], epsilon: float
    ) -> Float[Tensor, "batch *shape"]:
        """The nearest clips at a distance of `epsilon` or less from the clean ones."""
        return clean + self.into_ball(moved - clean, epsilon)

    def unit(self, delta: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """The change scaled to length 1; one of length 0 stays 0."""
        tiny = torch.finfo(delta.dtype).tiny  # 0 / tiny is 0, where 0 / 0 would not be a number
        return delta / per_clip(self.length(delta).clamp_min(tiny), delta)

    def random_change(self, noise: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """Uniform noise in [-1, 1] as a random change of length 1: nearly all of a large ball is at its border."""
        return self.unit(noise)

    def length_of_ones(self, num_values: int) -> float:
        """Length of a change of so many values, each of size 1."""
        return float(self.length(torch.ones(1, num_values, dtype=torch.float64)))


class Linf(Norm):
    """The largest change of any value."""

    is_per_value: ClassVar[bool] = True

    def length(self, delta: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """Largest absolute value."""
        return delta.flatten(1).abs().amax(1)

    def into_ball(self, delta: Float[Tensor, "batch *shape"], epsilon: float) -> Float[Tensor, "batch *shape"]:
        """Each value cut off at `epsilon`."""
        return delta.clamp(-epsilon, epsilon)

    def steepest(self, gradient: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """The gradient's sign."""
        return gradient.sign()

    def project(
        self, moved: Float[Tensor, "batch *shape"], clean: Float[Tensor, "batch *shape"], epsilon: float
    ) -> Float[Tensor, "batch *shape"]:
        """Each value cut off at the ends of its interval: one rounding, where a difference and a sum have two."""
        return moved.clamp(clean - epsilon, clean + epsilon)

    def random_change(self, noise: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """The noise itself, which is uniform in the ball."""
        return noise


class L2(Norm):
    """The Euclidean length of the change."""

    def length(self, delta: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """Root of the sum of squares."""
        lengths: Tensor = delta.flatten(1).norm(dim=1)
        return lengths

    def into_ball(self, delta: Float[Tensor, "batch *shape"], epsilon: float) -> Float[Tensor, "batch *shape"]:
        """The change shortened to `epsilon`, its direction kept."""
        shrink = (epsilon / self.length(delta).clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1.0)
        return delta * per_clip(shrink, delta)

    def steepest(self, gradient: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """The gradient scaled to length 1."""
        return self.unit(gradient)


NORMS: dict[str, Norm] = {"linf": Linf(), "l2": L2()}
"""The norms by the name that a threat model gives them."""


def _known(name: str) -> str:
    if name not in NORMS:
        raise ValueError(f"got '{name}'; allowed: {', '.join(NORMS)}")
    return name


NormName = Annotated[str, AfterValidator(_known)]
"""A key of `NORMS`."""
