"""The facts about each clip before any attack, by which gradients that merely mislead the attacker are recognised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from evaluation.masking.companions import companion_difference
from evaluation.masking.slopes import Slopes, slopes
from training.attacks.base import frozen
from training.attacks.engine.gradients import scored_gradient
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch, Modality
from training.models.classifier import predicted_classes
from training.threat import ThreatModel

NUM_PASSES = 3
"""Forward passes of the same clips that must agree."""

ONE_STEP = 1 / 32768
"""Between two neighbouring values of a stored waveform, in units of full scale."""


@dataclass(frozen=True)
class ClipFacts:
    """Facts about each clip before any attack."""

    prediction: Int[Tensor, " batch"]
    """Class of the untouched clip; -1 = not finite."""
    video_gradient: Float[Tensor, " batch"]
    """Largest absolute gradient of the margin over the frames."""
    audio_gradient: Float[Tensor, " batch"]
    """Largest absolute gradient of the margin over the log-mel patches; over a waveform, one step of 16 bits away."""
    uses_video: Bool[Tensor, " batch"]
    """True if inverting the frames moves the logits."""
    uses_audio: Bool[Tensor, " batch"]
    """True if inverting the log-mel patches, or replacing the waveform by noise, moves the logits."""
    forward_difference: Float[Tensor, " batch"]
    """Largest difference between repeated passes, over the spread of the logits."""
    companion_difference: Float[Tensor, " batch"]
    """Largest difference between the clip's logits in its batch and alone or among others, over their spread."""
    slopes: Mapping[Modality, Slopes]
    """The shape of the loss around the clip, for every modality with a budget."""

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
                "companion_difference": _finite(self.companion_difference[clip]),
            }
            | {
                name: value
                for modality, found in self.slopes.items()
                for name, value in found.columns(modality, clip).items()
            }
            for clip, key in enumerate(batch.keys)
        ]


def clip_facts(model: nn.Module, batch: Batch, threat: ThreatModel) -> ClipFacts:
    """Look at the clips: predictions, gradients, dependence on each modality, on chance and on other clips.

    A waveform is even under a power spectrum, so two things differ there. Its gradient is taken where noise of one step
    of 16 bits is added, for at exact silence it is zero, whatever the model. And whether the sound matters is seen when
    noise takes its place: the spectrum of an inverted waveform is the same.
    """
    others = batch.with_streams(1.0 - batch.video, _other_sound(batch))
    with frozen(model), full_precision(batch), torch.enable_grad():
        with torch.no_grad():
            passes = torch.stack([model(batch.video, batch.audio).logits for _ in range(NUM_PASSES)])
            logits = passes[0]
            other_video = model(others.video, batch.audio).logits
            other_audio = model(batch.video, others.audio).logits
            by_companions = companion_difference(model, batch, others, logits)
        gradients = _gradients(model, batch)
        found = slopes(model, batch, threat)
    spread = (logits.amax(1) - logits.amin(1)).clamp_min(torch.finfo(logits.dtype).tiny)
    return ClipFacts(
        prediction=predicted_classes(logits),
        video_gradient=gradients["video"],
        audio_gradient=gradients["audio"],
        uses_video=(other_video != logits).any(1),
        uses_audio=(other_audio != logits).any(1),
        forward_difference=(passes - logits).abs().amax((0, 2)) / spread,
        companion_difference=by_companions / spread,
        slopes=found,
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


def _gradients(model: nn.Module, batch: Batch) -> dict[Modality, Float[Tensor, " batch"]]:
    """Largest absolute gradient of the margin per clip, of each modality.

    A modality that the logits do not reach at all (a rounded output, a detached input) counts as gradient zero.
    """
    audio = (batch.audio + ONE_STEP * _noise(batch)).clamp(-1, 1) if batch.has_waveform else batch.audio
    clips = batch.with_streams(batch.video, audio).with_targets(None)
    _, found = scored_gradient(model, clips, MODALITIES, "margin")
    return {name: stream.abs().flatten(1).amax(1) for name, stream in found.streams.items()}


def _finite(value: Tensor) -> float | None:
    return float(value) if bool(value.isfinite()) else None
