"""The parts of a report: one attack, one class, the example, a number that is withheld, and what no table tells."""

from __future__ import annotations

from typing import Literal

from evaluation.intervals import Interval
from preprocessing.settings import Settings
from preprocessing.storage.provenance import Provenance


class AttackResult(Settings):
    """One attack under one threat model."""

    name: str
    """The attack and its settings that differ from the defaults."""
    threat: str
    """The rules it played by; they belong to every number here."""
    robust_accuracy: float
    """Share of all clips that are right untouched and still right under the attack."""
    robust_accuracy_interval: Interval
    attack_success_rate: float | None
    """Share of the clips right when clean that the attack turned wrong; None = no clip was right when clean."""
    attack_success_rate_interval: Interval | None
    num_left_out: int
    """Clips that it was not run on, because they were wrong untouched or fooled by an earlier attack of the list: they
    count as fooled, so with any the accuracies are of what is left after those attacks, not of this one alone."""
    forward_passes: int
    """Forward passes per clip, at most."""
    backward_passes: int
    """Backward passes to the inputs per clip, at most."""
    unusable_gradients: float
    """Share of the gradients that were zero or not finite, so that noise took their place: mean over clips."""
    linf_video: float
    """Largest change of any pixel value over all clips."""
    linf_audio: float
    """Largest change over all clips of any log-mel value, or of any sample where the threat is about the waveform."""
    l2_video: float
    """Mean Euclidean length of the change of a clip's frames."""
    l2_audio: float
    """Mean Euclidean length of the change of a clip's log-mel patches or waveform."""
    psnr_video_db: float | None
    """Mean over the clips whose frames changed; None = none did."""
    snr_audio_db: float | None
    """Mean over the clips whose sound changed and is not silent; None = none."""


class PointResult(AttackResult):
    """The reference attack under one threat model, and the worst case there."""

    worst_case_robust_accuracy: float
    """Share of all clips that withstand every attack of `worst_case_of`. What falls to a smaller budget falls to a
    larger one, so it never rises with the budget."""
    worst_case_robust_accuracy_interval: Interval
    worst_case_of: tuple[str, ...]
    """The attacks that were run under this threat model, or under one that lies inside it."""


class ModalityResult(PointResult):
    """An attacker who may touch only some modalities."""

    perturbed: Literal["video", "audio", "both"]


class CurvePoint(PointResult):
    """An attacker at one epsilon."""

    factor: float
    """Epsilon in units of the report's threat model."""


class ClassResult(Settings):
    """One class."""

    name: str
    num_clips: int
    clean_accuracy: float
    clean_accuracy_interval: Interval
    """Exact binomial interval (Clopper and Pearson 1934): a class may have few clips."""
    worst_case_robust_accuracy: float
    worst_case_robust_accuracy_interval: Interval


class Confusion(Settings):
    """A class, and one that it is taken for under attack."""

    name: str
    """The true class, which the model named for the untouched clips."""
    taken_for: str
    num_clips: int
    """Clips that any attack of the list turned from the one into the other."""
    num_right: int
    """Clips of the class that are right untouched."""


class Withheld(Settings):
    """A headline number that must not be quoted, and why."""

    worst_case_robust_accuracy: float
    worst_case_robust_accuracy_interval: Interval
    reasons: tuple[str, ...]


class ExampleFacts(Settings):
    """The clip that the page shows before and after an attack."""

    key: str
    attack: str
    threat: str
    class_name: str
    """The true class, which the model named for the untouched clip."""
    mistaken_for: str
    """The class that the model named after the attack."""
    video_gain: int
    """The factor by which the picture of the frames' change is amplified."""
    audio_gain: int
    """The same of the log-mel patches' change."""


class Facts(Settings):
    """The part of a report that does not follow from its certificates."""

    class_names: tuple[str, ...]
    unbounded_threat: str
    model_sha256: str
    surrogates_sha256: tuple[str, ...] = ()
    dataset_content_sha256: str
    moments_content_sha256: str | None = None
    certificates_sha256: str
    seconds: float
    device: str
    objective: str | None = None
    trained_with: Provenance | None = None
    provenance: Provenance | None = None
    left_out: tuple[str, ...] = ()
    example: ExampleFacts | None = None
