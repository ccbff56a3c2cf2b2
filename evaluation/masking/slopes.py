"""Does the loss rise as its gradient promises? Measured at two points of each clip's ball, modality by modality.

The loss is the margin of the best wrong class: it does not saturate, and nothing here hangs on the scale of the logits.
The points are a random one and one that an attack reaches, not the clean clip: attacks walk through the ball, and a
gradient can be right at the clip alone, or wrong near the boundary alone. It can also end there: so its length is
recorded at both, and half way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluation.masking.noise import noisy
from training.attacks import PGD
from training.attacks.engine.expectation import Shift, smoothed
from training.attacks.engine.gradients import Gradient, Streams, direction, scored_gradient, unit_noise
from training.attacks.engine.losses import margin
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch, Modality
from training.threat import ThreatModel

STEP_SIZES = (1 / 64, 1 / 8)
"""Steps along the gradient, in units of epsilon: where first order must hold, and a step of the attacks."""
PLACES = ("a random point", "a point that an attack reaches")
"""The points at which steps begin."""
PROBES = tuple((place, size) for place in PLACES for size in STEP_SIZES)
"""Every step along the gradient that is tried, in the order of `Slopes.alignment`."""
PATH = ("a random point", "the point half way of an attack", "the point where an attack ends")
"""The points at which the gradient's length is recorded, in the order of `Slopes.path_gradient`."""
SCOUT = PGD(steps=10, loss="margin")
"""The attack that finds the second point: its steps are short enough not to leap over a strip along the boundary that
is wide enough to stop the attacks of a list."""
NUM_DIRECTIONS = 2
"""Random directions that a step along the gradient is compared with, each taken forwards and backwards."""
NUM_SMOOTHING = 8
"""Points whose gradients are averaged to the smoothed one."""
SMOOTHING_RADIUS = 0.5
"""Their distance from the clip's point, in units of epsilon."""
LARGEST_ALIGNMENT = 10.0
"""Alignments are cut off here: only small and negative ones mean something."""
ROUNDING = 32 * torch.finfo(torch.float32).eps
"""Change of a logit, over the largest one, that may be rounding of 32-bit arithmetic."""

PerClip = Float[Tensor, " batch"]


@dataclass(frozen=True)
class Slopes:
    """The shape of the loss around each clip, in one modality."""

    alignment: Float[Tensor, "batch probes"]
    """For each of `PROBES`, how much of its promise a step along the gradient keeps, over the same of random
    directions: about 1 where the gradient is that of the loss, about 0 where it has nothing to do with it, whatever its
    length. NaN = nothing there that 32-bit arithmetic could measure; 0 = a promise and nothing, or no number."""
    rise: PerClip
    """Growth of the margin one epsilon along the gradient at the random point, in units of the logits' spread; NaN =
    not finite."""
    smoothed_rise: PerClip
    """The same along the mean of gradients of points around."""
    path_gradient: Float[Tensor, "batch points"]
    """For each of `PATH`, the largest absolute gradient of the margin there; 0 = not finite, NaN = the clip is wrong
    there, so that nothing is left to follow."""

    def columns(self, modality: Modality, clip: int) -> dict[str, object]:
        """One clip's facts as columns of its certificates."""
        return {
            f"{modality}_alignment": tuple(_number(value) for value in self.alignment[clip]),
            f"{modality}_rise": _number(self.rise[clip]),
            f"{modality}_smoothed_rise": _number(self.smoothed_rise[clip]),
            f"{modality}_path_gradient": tuple(_number(value) for value in self.path_gradient[clip]),
        }


def slopes(model: nn.Module, clips: Batch, threat: ThreatModel) -> Mapping[Modality, Slopes]:
    """Look at the loss around each clip, in every modality with a budget.

    Backward passes: one at each of `PATH`, one for each of `NUM_SMOOTHING` around the first, those of `SCOUT`. Forward
    passes beside theirs, for each modality: two, and for each of `PROBES` one and two for each of `NUM_DIRECTIONS`.
    """
    generator = torch.Generator().manual_seed(0)
    clips = clips.with_targets(None)
    start = _in_box(noisy(clips, threat, generator, "point"), threat)
    end = SCOUT(model, clips, threat, generator)
    places = [_Place.at(point, model, threat) for point in (start, end)]
    path = (places[0], _Place.at(_between(clips, end), model, threat), places[1])
    shifts = [_shift(start, threat, generator, f"smoothing {number}") for number in range(NUM_SMOOTHING)]
    _, smooth = scored_gradient(smoothed(model, shifts), start, threat.modalities, "margin")
    return {
        name: Slopes(
            alignment=torch.stack([place.alignment(name, size) for place in places for size in STEP_SIZES], dim=1),
            rise=places[0].full_rise(name, places[0].gradient.streams[name]),
            smoothed_rise=places[0].full_rise(name, smooth.streams[name]),
            path_gradient=torch.stack([place.largest_gradient(name) for place in path], dim=1),
        )
        for name in threat.modalities
    }


def _in_box(clips: Batch, threat: ThreatModel) -> Batch:
    """The clips, every value of a modality with a budget cut off at the ends of its box."""
    streams: Streams = {
        name: clips.stream(name).clamp(*threat.box(name)) if name in threat.modalities else clips.stream(name)
        for name in MODALITIES
    }
    return clips.with_streams(**streams)


def _between(one: Batch, other: Batch) -> Batch:
    """The points half way."""
    return one.with_streams(**{name: (one.stream(name) + other.stream(name)) / 2 for name in MODALITIES})


def _shift(clips: Batch, threat: ThreatModel, generator: torch.Generator, purpose: str) -> Shift:
    moved = noisy(clips, threat, generator, purpose, share=SMOOTHING_RADIUS)
    return moved.video - clips.video, moved.audio - clips.audio


@dataclass(frozen=True)
class _Place:
    """Clips at a point of their balls, and the loss there."""

    model: nn.Module
    clips: Batch
    threat: ThreatModel
    logits: Float[Tensor, "batch classes"]
    gradient: Gradient

    @classmethod
    def at(cls, clips: Batch, model: nn.Module, threat: ThreatModel) -> _Place:
        """Look at the loss where these clips are."""
        return cls(model, clips, threat, *scored_gradient(model, clips, threat.modalities, "margin"))

    def alignment(self, name: Modality, size: float) -> PerClip:
        """The share of its promise that a step along the gradient keeps, over that of random steps as long.

        Random steps are taken both ways, so that what is even about the point falls out; the true gradient's length
        is what they measure (root mean square), the given one's what they promise.
        """
        length = size * self.threat.epsilon(name)
        finite = self.usable(self.gradient.streams[name])
        kept, promised = self.step(name, finite, length * direction(finite, self.threat))
        squares, promised_squares = torch.zeros_like(kept), torch.zeros_like(kept)
        for number in range(NUM_DIRECTIONS):
            change = length * self._random(name, f"direction {size:g} {number}")
            forwards, backwards = self.step(name, finite, change), self.step(name, finite, -change)
            squares += (forwards[0] - backwards[0]).square() / 4 / NUM_DIRECTIONS
            promised_squares += (forwards[1] - backwards[1]).square() / 4 / NUM_DIRECTIONS
        return _alignment(kept, promised, squares, promised_squares, self.rounding)

    def full_rise(self, name: Modality, gradient: Tensor) -> PerClip:
        """Growth of the margin one epsilon along a gradient, in units of the logits' spread."""
        finite = self.usable(gradient)
        kept, _ = self.step(name, finite, self.threat.epsilon(name) * direction(finite, self.threat))
        spread = (self.logits.amax(1) - self.logits.amin(1)).double()
        return kept / spread.clamp_min(torch.finfo(self.logits.dtype).tiny)

    def largest_gradient(self, name: Modality) -> PerClip:
        """The largest absolute gradient; NaN where the clip is wrong."""
        largest = torch.nan_to_num(self.gradient.streams[name], posinf=0.0, neginf=0.0).abs().flatten(1).amax(1)
        return largest.double().masked_fill(self.margins(self.logits) > 0, torch.nan)

    def usable(self, gradient: Tensor) -> Tensor:
        """The gradient where it is finite and the threat allows a change, else 0."""
        return torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0) * self.threat.support(gradient)

    def step(self, name: Modality, gradient: Tensor, change: Tensor) -> tuple[PerClip, PerClip]:
        """Growth of the margin after a step that stays in the box, and what the gradient promises of it."""
        here = self.clips.stream(name)
        moved: Streams = {other: self.clips.stream(other) for other in MODALITIES}
        moved[name] = (here + change).clamp(*self.threat.box(name))
        there = self.clips.with_streams(**moved)
        with torch.no_grad():
            grown = self.margins(self.model(there.video, there.audio).logits) - self.margins(self.logits)
        return grown, (gradient.double() * (moved[name] - here).double()).flatten(1).sum(1)

    def margins(self, logits: Float[Tensor, "batch classes"]) -> PerClip:
        """Best wrong logit minus the right one."""
        return margin(logits.double(), self.clips)

    @property
    def rounding(self) -> PerClip:
        """Growth that may be rounding."""
        return ROUNDING * self.logits.abs().amax(1).double()

    def _random(self, name: Modality, purpose: str) -> Tensor:
        """A random change of one budget: for a norm that bounds each value, all of it in each."""
        stream = self.clips.stream(name)
        noise = uniform_like(stream, self.clips.keys, torch.Generator().manual_seed(0), f"{purpose} {name}")
        return unit_noise(noise.sign() if self.threat.geometry.is_per_value else noise, self.threat)


def _alignment(
    kept: PerClip, promised: PerClip, squares: PerClip, promised_squares: PerClip, rounding: PerClip
) -> PerClip:
    """(kept / promised) / (root of squares / root of promised squares), with what may be rounding taken off."""
    seen = torch.where(kept.abs() > rounding, kept, 0.0)
    others = (squares - rounding.square()).clamp_min(0.0).sqrt()
    ratio = seen * promised_squares.sqrt() / (promised * others)
    ratio = torch.where(seen == 0, 0.0, ratio).clamp(-LARGEST_ALIGNMENT, LARGEST_ALIGNMENT)
    is_too_faint = (seen == 0) & (others == 0) & (promised < 4 * rounding)
    is_number = kept.isfinite() & squares.isfinite() & ratio.isfinite()
    return torch.where(is_number, ratio, 0.0).masked_fill(is_too_faint & is_number, torch.nan)


def _number(value: Tensor) -> float | None:
    return float(value) if bool(value.isfinite()) else None
