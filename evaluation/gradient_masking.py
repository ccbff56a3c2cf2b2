"""Checks for gradient masking: facts about each clip, and tests of whether gradients merely mislead the attacks.

The checks follow Athalye et al. 2018 (arXiv:1802.00420, Section 3.1), Carlini et al. 2019 (arXiv:1902.06705) and
AutoAttack's (Croce & Hein 2020, arXiv:2003.01690). A check that fires withholds the headline number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn import functional

from evaluation.certificates import Certificates
from evaluation.config import CheckLimits
from evaluation.intervals import chance_of_excess
from preprocessing.settings import Settings
from training.attacks.base import frozen
from training.attacks.engine.randomness import uniform_like
from training.batch import Batch
from training.models.classifier import predicted_classes

NUM_PASSES = 3
"""Forward passes of the same clips that must agree."""

ONE_STEP = 1 / 32768
"""Between two neighbouring values of a stored waveform, in units of full scale."""


class Check(Settings):
    """One question about the evaluation itself."""

    name: str
    outcome: Literal["passed", "fired", "not_run"]
    """`fired`: the robust accuracies are probably too high, whatever their intervals say."""
    question: str
    """The question that was checked."""
    finding: str
    """The answer, with numbers."""


@dataclass(frozen=True)
class ClipFacts:
    """Facts about each clip before any attack."""

    prediction: Int[Tensor, " batch"]
    """Class of the untouched clip; -1 = not finite."""
    video_gradient: Float[Tensor, " batch"]
    """Largest absolute gradient of the loss over the frames."""
    audio_gradient: Float[Tensor, " batch"]
    """Largest absolute gradient of the loss over the log-mel patches; over a waveform, one step of 16 bits away."""
    uses_video: Bool[Tensor, " batch"]
    """True if inverting the frames moves the logits."""
    uses_audio: Bool[Tensor, " batch"]
    """True if inverting the log-mel patches, or replacing the waveform by noise, moves the logits."""
    forward_difference: Float[Tensor, " batch"]
    """Largest difference between repeated passes, over the spread of the logits."""

    def rows(self, batch: Batch) -> list[dict[str, object]]:
        """The facts of each clip as columns of its certificates."""
        return [
            {
                "key": key,
                "label": int(batch.labels[clip]),
                "clean_prediction": int(self.prediction[clip]),
                "video_gradient": _finite(self.video_gradient[clip]),
                "audio_gradient": _finite(self.audio_gradient[clip]),
                "uses_video": bool(self.uses_video[clip]),
                "uses_audio": bool(self.uses_audio[clip]),
                "forward_difference": _finite(self.forward_difference[clip]),
            }
            for clip, key in enumerate(batch.keys)
        ]


def clip_facts(model: nn.Module, batch: Batch) -> ClipFacts:
    """Look at the untouched clips: predictions, input gradients, dependence on each modality, repeatability.

    A waveform is even under a power spectrum, so two things differ there. Its gradient is taken where noise of one step
    of 16 bits is added, for at exact silence it is zero, whatever the model. And whether the sound matters is seen when
    noise takes its place: the spectrum of an inverted waveform is the same.
    """
    with frozen(model), full_precision(batch):
        with torch.no_grad():
            passes = torch.stack([model(batch.video, batch.audio).logits for _ in range(NUM_PASSES)])
            other_video = model(1.0 - batch.video, batch.audio).logits
            other_audio = model(batch.video, _other_sound(batch)).logits
        video_gradient, audio_gradient = _gradients(model, batch)
    logits = passes[0]
    spread = (logits.amax(1) - logits.amin(1)).clamp_min(torch.finfo(logits.dtype).tiny)
    return ClipFacts(
        prediction=predicted_classes(logits),
        video_gradient=video_gradient,
        audio_gradient=audio_gradient,
        uses_video=(other_video != logits).any(1),
        uses_audio=(other_audio != logits).any(1),
        forward_difference=(passes - logits).abs().amax((0, 2)) / spread,
    )


@contextmanager
def full_precision(batch: Batch) -> Iterator[None]:
    """No autocast on the clips' device, whatever the caller has switched on: a result must not hang on rounding."""
    with torch.autocast(batch.video.device.type, enabled=False):
        yield


def _other_sound(batch: Batch) -> Tensor:
    """Audio that differs from the clip's own for any model that listens to it."""
    return _noise(batch) if batch.has_waveform else 1.0 - batch.audio


def _noise(batch: Batch) -> Tensor:
    """Uniform noise of full scale, its own for each clip and always the same."""
    return uniform_like(batch.audio, batch.keys, torch.Generator().manual_seed(0), "other sound")


def _gradients(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Largest absolute gradient of the loss per clip: of the frames, of the sound.

    A stream that the logits do not reach at all (a rounded output, a detached input) counts as gradient zero.
    """
    audio = (batch.audio + ONE_STEP * _noise(batch)).clamp(-1, 1) if batch.has_waveform else batch.audio
    streams = [stream.detach().clone().requires_grad_() for stream in (batch.video, audio)]
    with torch.enable_grad():
        loss = functional.cross_entropy(model(*streams).logits, batch.labels, reduction="sum")
        found: Sequence[Tensor | None] = (
            torch.autograd.grad(loss, streams, allow_unused=True) if loss.requires_grad else [None, None]
        )
    of_video, of_audio = (
        torch.zeros(len(batch), device=stream.device) if gradient is None else gradient.abs().flatten(1).amax(1)
        for stream, gradient in zip(streams, found, strict=True)
    )
    return of_video, of_audio


def _finite(value: Tensor) -> float | None:
    return float(value) if bool(value.isfinite()) else None


@dataclass(frozen=True)
class AttackOutcome:
    """The clips that withstood one measurement, with its name and cost."""

    label: str
    threat: str
    backward_passes: int | float
    is_robust: Bool[np.ndarray, " clips"]


def run_checks(
    clips: Certificates,
    *,
    attacks: Sequence[AttackOutcome],
    curve: Sequence[AttackOutcome],
    unbounded: AttackOutcome,
    attacked: Sequence[str],
    limits: CheckLimits,
) -> tuple[Check, ...]:
    """Run all checks.

    Args:
        clips: certificates of any one measurement, for the facts about the clips.
        attacks: the attacks of the list, under the same threat model.
        curve: the reference attack at rising epsilon.
        unbounded: the reference attack with room to do anything.
        attacked: modalities with a budget.
        limits: when a check fires.
    """
    return (
        *(gradients_are_usable(clips, modality=name, limits=limits) for name in attacked),
        forward_is_deterministic(clips, limits=limits),
        many_steps_beat_one(attacks, limits=limits),
        accuracy_falls_with_epsilon(curve, limits=limits),
        unbounded_attack_succeeds(clips, unbounded, limits=limits),
    )


def gradients_are_usable(clips: Certificates, *, modality: str, limits: CheckLimits) -> Check:
    """Clips that the model classifies by this modality must have a gradient there."""
    gradient = clips.numbers(f"{modality}_gradient")
    uses = clips.column(f"uses_{modality}").astype(bool)
    is_lost = uses & ((gradient == 0) | np.isnan(gradient))
    share = float(is_lost.mean())
    return _check(
        f"{modality}_gradients_are_usable",
        fired=share > limits.max_zero_gradient_share,
        question=f"Does the loss have a finite, non-zero gradient in the {modality}?",
        finding=f"{is_lost.sum()} of {len(is_lost)} clips have none although the logits depend on the {modality} "
        f"({share:.1%}; allowed {limits.max_zero_gradient_share:.1%})",
    )


def forward_is_deterministic(clips: Certificates, *, limits: CheckLimits) -> Check:
    """The same clip must give the same logits; a randomised defence needs attacks on its expectation."""
    difference = clips.numbers("forward_difference")
    differs = ~(difference <= limits.max_forward_difference)
    known = difference[~np.isnan(difference)]
    largest = f"{known.max():.2g}" if known.size else "unknown"
    return _check(
        "forward_is_deterministic",
        fired=bool(differs.any()),
        question="Do repeated passes over the same clip give the same logits?",
        finding=f"{differs.sum()} of {len(differs)} clips differ or are not finite; largest difference {largest} of "
        f"the logits' spread (allowed {limits.max_forward_difference:g})",
    )


def many_steps_beat_one(attacks: Sequence[AttackOutcome], *, limits: CheckLimits) -> Check:
    """No one-step attack may beat every iterative one: it would mean that following the gradient misleads.

    Attacks that follow no gradient belong to neither.
    """
    name, question = "many_steps_beat_one", "Does an iterative attack fool at least as many clips as a one-step attack?"
    single = [attack for attack in attacks if attack.backward_passes == 1]
    several = [attack for attack in attacks if attack.backward_passes > 1]
    if not single or not several:
        missing = "one-step" if not single else "iterative"
        return Check(name=name, outcome="not_run", question=question, finding=f"no {missing} attack in the list")
    one = min(single, key=lambda attack: float(attack.is_robust.mean()))
    many = min(several, key=lambda attack: float(attack.is_robust.mean()))
    return _check(
        name,
        fired=_is_better(many.is_robust, one.is_robust, significance=limits.significance, limits=limits),
        question=question,
        finding=f"robust accuracy {one.is_robust.mean():.1%} under {one.label} and {many.is_robust.mean():.1%} under "
        f"{many.label}, both {one.threat}",
    )


def accuracy_falls_with_epsilon(curve: Sequence[AttackOutcome], *, limits: CheckLimits) -> Check:
    """A larger budget contains the smaller one, so robust accuracy may not rise with it."""
    name, question = "accuracy_falls_with_epsilon", "Does robust accuracy fall, or stay, as epsilon grows?"
    pairs = [(small, large) for index, small in enumerate(curve) for large in curve[index + 1 :]]
    if not pairs:
        return Check(name=name, outcome="not_run", question=question, finding="the curve has fewer than two points")
    worst = max(pairs, key=lambda pair: float(pair[1].is_robust.mean() - pair[0].is_robust.mean()))
    rises = any(
        _is_better(large.is_robust, small.is_robust, significance=limits.significance / len(pairs), limits=limits)
        for small, large in pairs
    )
    small, large = worst
    return _check(
        name,
        fired=rises,
        question=question,
        finding=f"largest step upwards: {small.is_robust.mean():.1%} under {small.threat}, "
        f"{large.is_robust.mean():.1%} under {large.threat} ({small.label})",
    )


def unbounded_attack_succeeds(clips: Certificates, unbounded: AttackOutcome, *, limits: CheckLimits) -> Check:
    """With no limit an attack can do anything, so accuracy must fall to that of guessing the commonest class."""
    labels = clips.column("label")
    chance = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    right = int(unbounded.is_robust.sum())
    is_above = binomtest(right, len(labels), chance, alternative="greater").pvalue < limits.significance
    return _check(
        "unbounded_attack_succeeds",
        fired=bool(is_above),
        question="Does an attack without a limit bring accuracy down to chance?",
        finding=f"{right} of {len(labels)} clips are still right under {unbounded.label} with {unbounded.threat}; "
        f"chance is {chance:.1%}",
    )


def _is_better(
    more: Bool[np.ndarray, " clips"],
    less: Bool[np.ndarray, " clips"],
    *,
    significance: float,
    limits: CheckLimits,
) -> bool:
    """True if `more` is ahead by more than the smallest effect and by more than chance explains."""
    ahead = float(more.mean() - less.mean())
    return ahead > limits.min_effect and chance_of_excess(more, less) < significance


def _check(name: str, *, fired: bool, question: str, finding: str) -> Check:
    return Check(name=name, outcome="fired" if fired else "passed", question=question, finding=finding)
