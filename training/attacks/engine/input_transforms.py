"""Input transformations of transfer attacks: the gradient is taken at random or scaled copies of the clip.

    g = 1/n sum_i grad_x J(T_i(x))

Several transformations follow one another, each on every copy of the one before. Those that draw take a clip's
randomness from its own key, so that a clip's perturbation does not depend on its batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from preprocessing.settings import Settings
from training.attacks.engine.gradients import Gradient, GradientAt, Streams, detached_inputs, mean_gradient
from training.attacks.engine.randomness import clip_generator
from training.batch import MODALITIES, Batch, Modality, gather_segments

Stream = Float[Tensor, "batch segments *shape"]


class DiverseInputs(Settings):
    """Diverse inputs: with some probability, the clip made smaller and padded with zeros to its size again.

    DI-FGSM (Xie et al. 2019, arXiv:1803.06978, Section 3.2). Size and place are drawn anew in every step: one size for
    all frames of a clip, another for its log-mel patches. What differs: the paper enlarges pictures of 299 pixels to
    330; here a clip keeps its size, which a model may insist on. Waveforms stay as they are.
    """

    name: Literal["di"] = "di"
    probability: float = Field(default=0.5, ge=0, le=1)
    """Share of the clips and steps that are transformed."""
    smallest: float = Field(default=0.9, gt=0, le=1)
    """Smallest side after resizing, as a share of the side; the source's 299 of 330 is 0.9."""

    @property
    def copies(self) -> int:
        """Copies of each clip."""
        return 1

    def __call__(self, batch: Batch, number: int, generator: torch.Generator, purpose: str) -> Batch:
        """The resized and padded clips."""
        moved: Streams = {name: batch.stream(name) for name in MODALITIES}
        for name, stream in moved.items():
            if stream.dim() >= 4:
                draws = _draws(batch, 4, generator, f"{purpose} {name}").to(stream)
                size = 1.0 - (1.0 - self.smallest) * draws[:, 0]
                sizes = torch.where(draws[:, 1] < self.probability, size, torch.ones_like(size))
                moved[name] = resized(resized(stream, sizes, draws[:, 2], -2), sizes, draws[:, 3], -1)
        return batch.with_streams(**moved)


class ScaledInputs(Settings):
    """Scale invariance: the clip at brightness and loudness 1, 1/2, 1/4, ... (Lin et al. 2020, arXiv:1908.06281)."""

    name: Literal["si"] = "si"
    copies: PositiveInt = 5
    """m: copies x / 2^i, i = 0 .. m - 1; each costs a pass."""

    def __call__(self, batch: Batch, number: int, generator: torch.Generator, purpose: str) -> Batch:
        """The clips divided by 2^number."""
        streams: Streams = {name: batch.stream(name) / 2.0**number for name in MODALITIES}
        return batch.with_streams(**streams)


class Admix(Settings):
    """Admix: a small part of something else added to the clip, which keeps its label.

        x + eta x'

    Wang et al. 2021, arXiv:2102.00436, Eq. 5; put `si` behind it, as the paper does. What differs: x' is another
    segment of the same clip, one distance in time per copy, instead of a picture of another class: a clip's
    perturbation must not depend on which others it came with. Clips of one segment stay as they are.
    """

    name: Literal["admix"] = "admix"
    copies: PositiveInt = 3
    """Segments that are mixed in, one per copy; each copy costs a pass."""
    share: float = Field(default=0.2, gt=0, lt=1)
    """eta: how much of it is added."""

    def __call__(self, batch: Batch, number: int, generator: torch.Generator, purpose: str) -> Batch:
        """The clips with another of their segments, through which no gradient flows."""
        num_segments = batch.num_segments
        if num_segments == 1:
            return batch
        draws = _draws(batch, 1, generator, f"{purpose} {number}")[:, 0]
        distance = 1 + (draws * (num_segments - 1)).long()
        index = (torch.arange(num_segments)[None] + distance[:, None]) % num_segments
        streams: Streams = {
            name: batch.stream(name)
            + self.share * gather_segments(batch.stream(name).detach(), index.to(batch.video.device))
            for name in MODALITIES
        }
        return batch.with_streams(**streams)


AnyInputTransform = Annotated[DiverseInputs | ScaledInputs | Admix, Field(discriminator="name")]
"""An input transformation, chosen by its `name`: `di`, `si` or `admix`."""


def num_copies(transforms: Sequence[AnyInputTransform]) -> int:
    """Copies of a clip that each step looks at, and by which its passes multiply."""
    return math.prod(transform.copies for transform in transforms)


def at_transformed_inputs(
    plain: GradientAt, transforms: Sequence[AnyInputTransform], generator: torch.Generator
) -> GradientAt:
    """The mean of `plain` over the transformed copies, as a gradient at the clip itself."""
    return _AtTransformedInputs(plain, tuple(transforms), generator)


@dataclass
class _AtTransformedInputs:
    """A gradient that counts its steps: each has draws of its own."""

    plain: GradientAt
    transforms: tuple[AnyInputTransform, ...]
    generator: torch.Generator
    step: int = 0

    def __call__(self, model: nn.Module, batch: Batch, modalities: Sequence[Modality]) -> Gradient:
        self.step += 1
        copies = product(*(range(transform.copies) for transform in self.transforms))
        return mean_gradient([self._at_copy(model, batch, modalities, numbers) for numbers in copies])

    def _at_copy(
        self, model: nn.Module, batch: Batch, modalities: Sequence[Modality], numbers: tuple[int, ...]
    ) -> Gradient:
        copy, inputs = detached_inputs(batch, modalities)
        with torch.enable_grad():
            for place, (transform, number) in enumerate(zip(self.transforms, numbers, strict=True)):
                # The copies of an earlier transformation are further ones of this one, with draws of their own.
                purpose = f"{transform.name} {self.step} {place} {numbers[:place]}"
                copy = transform(copy, number, self.generator, purpose)
        found = self.plain(model, copy.with_streams(copy.video.detach(), copy.audio.detach()), modalities)
        outputs = [copy.stream(name) for name in modalities]
        slopes = torch.autograd.grad(outputs, inputs, [found.streams[name] for name in modalities])
        return Gradient(dict(zip(modalities, slopes, strict=True)), found.log_scale)


def _draws(batch: Batch, count: int, generator: torch.Generator, purpose: str) -> Float[Tensor, "batch draws"]:
    """Numbers in [0, 1) that each clip's key decides."""
    return torch.stack([torch.rand(count, generator=clip_generator(generator, key, purpose)) for key in batch.keys])


def resized(stream: Stream, size: Float[Tensor, " batch"], place: Float[Tensor, " batch"], dimension: int) -> Stream:
    """One dimension of each clip shrunk to a share of it and set among zeros, linearly interpolated.

    Args:
        stream: frames or patches.
        size: share of the dimension that each clip keeps; 1 leaves it as it is.
        place: where in the room that becomes free it lies, in [0, 1].
        dimension: -1 or -2.
    """
    length = stream.shape[dimension]
    middles = torch.arange(length, device=stream.device, dtype=stream.dtype)[None] + 0.5
    first = (place * (1.0 - size) * length)[:, None]
    source = (middles - first) / size[:, None] - 0.5
    below = source.floor()
    weight = source - below
    inside = (middles >= first) & (middles <= first + size[:, None] * length)
    result: Tensor | None = None
    for offset, share in ((0, 1.0 - weight), (1, weight)):
        index = (below.long() + offset).clamp(0, length - 1)
        part = _along(share * inside, stream, dimension) * stream.take_along_dim(
            _along(index, stream, dimension), dimension
        )
        result = part if result is None else result + part
    assert result is not None, "two neighbours are looked at"
    return result


def _along(values: Tensor, stream: Stream, dimension: int) -> Tensor:
    """One value per clip and place, shaped to broadcast over a stream along a dimension."""
    shape = [len(values), *([1] * (stream.dim() - 1))]
    shape[dimension] = values.shape[1]
    return values.reshape(shape)
