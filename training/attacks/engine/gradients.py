"""Gradients at the inputs that no precision loses, and what becomes of those that carry no information."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from training.attacks.engine.expectation import Expectation
from training.attacks.engine.losses import LossName, slope_at_logits
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch, Modality, per_clip
from training.threat import ThreatModel

Streams = dict[Modality, Tensor]


@dataclass(frozen=True)
class Gradient:
    """Gradient of an objective at the inputs, exp(log_scale) x streams: one step needs the streams alone."""

    streams: Streams
    """Per modality that was asked for, in a scale that neither vanishes nor overflows."""
    log_scale: Float[Tensor, " batch"]
    """Logarithm of what each clip's streams are to be multiplied by where gradients at several points are added."""

    def plus(self, other: Gradient, weight: float = 1.0) -> Gradient:
        """This gradient plus `weight` times another, in the scale of the larger."""
        log_scale = torch.maximum(self.log_scale, other.log_scale)
        mine, others = (self.log_scale - log_scale).exp(), weight * (other.log_scale - log_scale).exp()
        streams = {
            name: per_clip(mine, stream) * stream + per_clip(others, stream) * other.streams[name]
            for name, stream in self.streams.items()
        }
        return Gradient(streams, log_scale)


def mean_gradient(found: Sequence[Gradient]) -> Gradient:
    """The mean of gradients of the same streams."""
    total = found[0]
    for other in found[1:]:
        total = total.plus(other)
    return Gradient({name: stream / len(found) for name, stream in total.streams.items()}, total.log_scale)


GradientAt = Callable[[nn.Module, Batch, Sequence[Modality]], Gradient]
"""(model, clips, modalities) -> gradient of the attack's objective at these clips."""


def detached_inputs(batch: Batch, modalities: Sequence[Modality]) -> tuple[Batch, list[Tensor]]:
    """The same clips with fresh tensors to differentiate at, and those of the wanted modalities."""
    fresh: Streams = {name: batch.stream(name).detach().requires_grad_(name in modalities) for name in MODALITIES}
    return batch.with_streams(**fresh), [fresh[name] for name in modalities]


def classification_gradient(loss: LossName = "cross_entropy") -> GradientAt:
    """The gradient of the classification loss alone; zero at a modality that the model does not look at."""

    def gradient(model: nn.Module, batch: Batch, modalities: Sequence[Modality]) -> Gradient:
        return scored_gradient(model, batch, modalities, loss)[1]

    return gradient


def scored_gradient(
    model: nn.Module, batch: Batch, modalities: Sequence[Modality], loss: LossName
) -> tuple[Float[Tensor, "batch classes"], Gradient]:
    """The logits and the gradient of the classification loss, of one forward and one backward pass.

    Of an `Expectation` both are means over its passes, which are taken one after the other: E[grad loss].
    """
    if isinstance(model, Expectation):
        every = [scored_gradient(each, batch, modalities, loss) for each in model.passes]
        return torch.stack([logits for logits, _ in every]).mean(0), mean_gradient([found for _, found in every])
    clips, streams = detached_inputs(batch, modalities)
    logits = model(clips.video, clips.audio).logits
    slope, log_scale = slope_at_logits(logits, batch, loss)
    return logits.detach(), Gradient(dict(zip(modalities, vjp(logits, streams, slope), strict=True)), log_scale)


def vjp(outputs: Tensor | Sequence[Tensor], streams: list[Tensor], slopes: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """One backward pass from the slopes at `outputs` to the streams: zeros where no way leads."""
    outputs, slopes = ([one] if isinstance(one, Tensor) else list(one) for one in (outputs, slopes))
    reaching = [(output, slope) for output, slope in zip(outputs, slopes, strict=True) if output.requires_grad]
    if not reaching:
        return [torch.zeros_like(stream) for stream in streams]
    found = torch.autograd.grad(
        [output for output, _ in reaching],
        streams,
        grad_outputs=[slope for _, slope in reaching],
        materialize_grads=True,
    )
    return list(found)


@dataclass
class UnusableGradients:
    """A count of the gradients that were zero or not finite while an attack ran: one per clip, modality and step."""

    unusable: Counter[str] = field(default_factory=Counter)
    """By the clip's key."""
    seen: Counter[str] = field(default_factory=Counter)
    """All of them, by the clip's key."""

    @property
    def share(self) -> float:
        """Fraction of the gradients that carried no information; 0 if there were none."""
        return self.unusable.total() / max(self.seen.total(), 1)

    def share_of(self, key: str) -> float:
        """The same of one clip."""
        return self.unusable[key] / max(self.seen[key], 1)


_watch: ContextVar[UnusableGradients | None] = ContextVar("unusable_gradients", default=None)


@contextmanager
def count_unusable_gradients() -> Iterator[UnusableGradients]:
    """Count what the attacks called inside find: `with count_unusable_gradients() as found: attack(...)`."""
    found = UnusableGradients()
    token = _watch.set(found)
    try:
        yield found
    finally:
        _watch.reset(token)


def note_unusable(keys: tuple[str, ...], is_unusable: Bool[Tensor, " batch"]) -> None:
    """Count the clips whose gradients carried no information, of one step and modality."""
    if (counter := _watch.get()) is not None:
        counter.unusable.update(key for key, is_lost in zip(keys, is_unusable.tolist(), strict=True) if is_lost)
        counter.seen.update(keys)


def normalised_or_noise(
    gradient: Gradient,
    batch: Batch,
    threat: ThreatModel,
    generator: torch.Generator,
    purpose: str,
    *,
    joint: bool = False,
) -> Gradient:
    """The gradient where the threat allows a change, each clip's largest value scaled to 1.

    So no norm of it can vanish or overflow; `joint` scales both modalities alike. A clip whose gradient is all zero or
    not finite in a modality gets noise there instead: it must not look robust. So does a silent segment of a waveform,
    too faint to matter beside a gradient: at exact silence power has none, whatever the model makes of the audio.
    """
    streams: Streams = {}
    largest: dict[Modality, Tensor] = {}
    for name, found in gradient.streams.items():
        finite = torch.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
        if threat.segments is not None:
            finite = finite * threat.support(finite)
        largest[name] = finite.flatten(1).abs().amax(1)
        empty = largest[name] == 0
        if bool(empty.any()):
            lost = tuple(key for key, is_lost in zip(batch.keys, empty.tolist(), strict=True) if is_lost)
            finite[empty] = uniform_like(finite[empty], lost, generator, f"{name} {purpose}") * threat.support(finite)
            largest[name] = finite.flatten(1).abs().amax(1)
        note_unusable(batch.keys, empty)
        if name == "audio" and threat.audio_domain == "waveform":
            finite = _with_faint_noise_at_silence(finite, largest[name], batch.keys, threat, generator, purpose)
        streams[name] = finite
    if joint:
        largest = dict.fromkeys(largest, torch.stack(list(largest.values())).amax(0))
    scaled: Streams = {name: stream / per_clip(largest[name], stream) for name, stream in streams.items()}
    return Gradient(scaled, gradient.log_scale)


def _with_faint_noise_at_silence(
    found: Float[Tensor, "batch segments samples"],
    largest: Float[Tensor, " batch"],
    keys: tuple[str, ...],
    threat: ThreatModel,
    generator: torch.Generator,
    purpose: str,
) -> Float[Tensor, "batch segments samples"]:
    """Noise of a millionth of the clip's largest gradient in the segments whose gradient is exactly zero."""
    is_silent = (found == 0).all(2, keepdim=True) & threat.support(found)
    rows = is_silent.any(1).flatten().nonzero().flatten().tolist()
    if not rows:
        return found
    noise = torch.zeros_like(found)
    noise[rows] = uniform_like(found[rows], tuple(keys[row] for row in rows), generator, f"silence {purpose}")
    return torch.where(is_silent, 1e-6 * per_clip(largest, found) * noise, found)


def direction(stream: Float[Tensor, "batch *shape"], threat: ThreatModel) -> Float[Tensor, "batch *shape"]:
    """The steepest step of length 1 in the threat's norm."""
    return threat.geometry.steepest(stream)


def unit_noise(noise: Float[Tensor, "batch *shape"], threat: ThreatModel) -> Float[Tensor, "batch *shape"]:
    """Noise in [-1, 1] as a random change of the threat's unit ball, where it allows one."""
    return threat.geometry.random_change(noise * threat.support(noise))
