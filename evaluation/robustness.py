"""What one attack does to the clips of one batch, and which attacks an evaluation runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from evaluation.certificates import Certificate
from evaluation.config import EvaluateConfig, attack_label
from evaluation.gradient_masking import ClipFacts, clip_facts
from preprocessing.schema import ClipFormat
from training.attacks import Attack
from training.batch import Batch
from training.threat import ThreatModel

LINF = ThreatModel(norm="linf")
L2 = ThreatModel(norm="l2")

HELD_BYTES = 2**30
"""Clips that a worker keeps in memory while all attacks run over them."""

ROUNDING = 1e-5
"""How far a distance may exceed its epsilon relative to it: sums in 32-bit floating point."""


@dataclass(frozen=True)
class Measurement:
    """One attack under one threat model, over all clips."""

    attack: Attack
    threat: ThreatModel

    @property
    def label(self) -> str:
        """The attack's name in the report."""
        return attack_label(self.attack)

    @property
    def passes(self) -> int:
        """Forward and backward passes per clip; none without a budget."""
        return self.attack.passes if self.threat.video > 0 or self.threat.audio > 0 else 0


@dataclass(frozen=True)
class Example:
    """One clip before and after an attack."""

    key: str
    attack: str
    threat: str
    class_name: str
    """The true class, which the model named for the untouched clip."""
    mistaken_for: str
    """The class that the model named after the attack."""
    clean_video: Float[np.ndarray, "segments 3 height width"]
    perturbed_video: Float[np.ndarray, "segments 3 height width"]
    clean_audio: Float[np.ndarray, "segments mels steps"]
    perturbed_audio: Float[np.ndarray, "segments mels steps"]


class BudgetError(RuntimeError):
    """An attack returned a clip outside its budget or outside [0, 1]: its numbers would be meaningless."""


def measurements_of(config: EvaluateConfig, clip_format: ClipFormat) -> tuple[Measurement, ...]:
    """Everything an evaluation measures, each once, the attacks of the list first."""
    reference = config.reference_attack
    wanted = [Measurement(attack, config.threat) for attack in config.attacks]
    wanted += [Measurement(reference, threat) for threat in modality_threats(config.threat).values()]
    wanted += [Measurement(reference, config.threat.scaled(factor)) for factor in config.curve]
    wanted.append(Measurement(reference, unbounded_threat(config.threat, clip_format)))
    found: dict[tuple[str, str], Measurement] = {}
    for measurement in wanted:
        found.setdefault((measurement.label, str(measurement.threat)), measurement)
    return tuple(found.values())


def modality_threats(threat: ThreatModel) -> dict[str, ThreatModel]:
    """The threat restricted to each modality that it allows, and the whole."""
    names = [name for name in ("video", "audio") if getattr(threat, name) > 0]
    alone = {"video": threat.only("video"), "audio": threat.only("audio")}
    return {name: alone[name] for name in names} | {"both": threat}


def unbounded_threat(threat: ThreatModel, clip_format: ClipFormat) -> ThreatModel:
    """The same norm, with room to turn any clip into any other in the modalities that `threat` allows."""
    num_values = {
        "video": clip_format.num_segments * 3 * clip_format.frame_size**2,
        "audio": clip_format.num_segments * clip_format.num_mels * clip_format.steps,
    }
    radius = {name: 1.0 if threat.norm == "linf" else count**0.5 for name, count in num_values.items()}
    return ThreatModel(
        norm=threat.norm,
        video=radius["video"] if threat.video > 0 else 0.0,
        audio=radius["audio"] if threat.audio > 0 else 0.0,
    )


@dataclass(frozen=True)
class Piece:
    """What one measurement found on one batch."""

    measurement: int
    """Position in the list of measurements."""
    batch: int
    """Position among the batches."""
    rows: tuple[Certificate, ...]


def measure_all(
    model: nn.Module,
    batches: Iterable[Batch],
    measurements: Sequence[Measurement],
    *,
    seed: int,
    model_sha256: str,
    held_bytes: int = HELD_BYTES,
) -> Iterator[Piece]:
    """Run every measurement over the batches, attack after attack.

    Clips are read once: as many batches as fit into `held_bytes` are held while all attacks run over them.
    """
    device = next(model.parameters()).device
    for group in _groups(enumerate(batches), held_bytes):
        held = [(number, batch, clip_facts(model, batch.to(device))) for number, batch in group]
        for position, measurement in enumerate(measurements):
            for number, batch, facts in held:
                rows = measure(model, batch.to(device), measurement, facts=facts, seed=seed, model_sha256=model_sha256)
                yield Piece(position, number, tuple(rows))


def _groups(batches: Iterable[tuple[int, Batch]], held_bytes: int) -> Iterator[list[tuple[int, Batch]]]:
    """Consecutive batches whose tensors fit together into `held_bytes`; at least one each."""
    group: list[tuple[int, Batch]] = []
    size = 0
    for number, batch in batches:
        needed = batch.video.nbytes + batch.audio.nbytes
        if group and size + needed > held_bytes:
            yield group
            group, size = [], 0
        group.append((number, batch))
        size += needed
    if group:
        yield group


def measure(
    model: nn.Module,
    batch: Batch,
    measurement: Measurement,
    *,
    facts: ClipFacts,
    seed: int,
    model_sha256: str,
) -> list[Certificate]:
    """Attack the clips of a batch and write down what happened to each.

    Raises:
        BudgetError: if the attack broke its promise to stay inside the threat model.
    """
    perturbed = craft(model, batch, measurement, seed=seed)
    with torch.no_grad():
        predictions = predicted_classes(model(perturbed.video, perturbed.audio).logits)
    threat = measurement.threat
    columns: dict[str, Sequence[object]] = {
        "perturbed_prediction": predictions.tolist(),
        "psnr_video_db": peak_signal_to_noise_db(perturbed.video, batch.video),
        "snr_audio_db": signal_to_noise_db(perturbed.audio, batch.audio),
    }
    for prefix, norm in (("distance", threat), ("linf", LINF), ("l2", L2)):
        for name, values in norm.distances(perturbed, batch).items():
            columns[f"{prefix}_{name}"] = values.tolist()
    shared = {
        "attack": measurement.label,
        "threat": str(threat),
        "epsilon_video": threat.video,
        "epsilon_audio": threat.audio,
        "seed": seed,
        "model_sha256": model_sha256,
    }
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return [Certificate.model_validate(clip | shared | row) for clip, row in zip(facts.rows(batch), rows, strict=True)]


def craft(model: nn.Module, batch: Batch, measurement: Measurement, *, seed: int) -> Batch:
    """Perturb the clips of a batch; randomness depends on `seed` and each clip's key only.

    Raises:
        BudgetError: if a perturbed clip lies outside the budget or outside [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)
    perturbed = measurement.attack(model, batch, measurement.threat, generator)
    distances = measurement.threat.distances(perturbed, batch)
    for name, distance in distances.items():
        epsilon = getattr(measurement.threat, name)
        stream = getattr(perturbed, name)
        is_inside = (distance <= allowed_distance(epsilon)) & ((stream >= 0) & (stream <= 1)).flatten(1).all(1)
        if not bool(is_inside.all()):
            lost = batch.keys[int((~is_inside).nonzero()[0])]
            raise BudgetError(
                f"attack '{measurement.label}' left {measurement.threat}: clip '{lost}' has {name} at distance "
                f"{float(distance.max()):g} (allowed {epsilon:g}) or values outside [0, 1]"
            )
    return perturbed


def allowed_distance(epsilon: float) -> float:
    """The largest distance that counts as within `epsilon`, given 32-bit rounding; exactly 0 for epsilon 0."""
    return epsilon * (1.0 + ROUNDING) + (1e-7 if epsilon else 0.0)


def predicted_classes(logits: Float[Tensor, "batch classes"]) -> Int[Tensor, " batch"]:
    """The class of the largest logit; -1, which is never right, where a logit is not finite."""
    return torch.where(logits.isfinite().all(1), logits.argmax(1), -1)


def peak_signal_to_noise_db(
    perturbed: Float[Tensor, "batch *shape"], clean: Float[Tensor, "batch *shape"]
) -> list[float | None]:
    """10 log10(1 / mean squared change) per clip, for values in [0, 1]; None where nothing changed."""
    errors = (perturbed - clean).double().square().flatten(1).mean(1)
    return [None if error == 0 else float(-10.0 * error.log10()) for error in errors.cpu()]


def signal_to_noise_db(
    perturbed: Float[Tensor, "batch *shape"], clean: Float[Tensor, "batch *shape"]
) -> list[float | None]:
    """10 log10(mean square / mean squared change) per clip; None where nothing changed or the clip is all zero."""
    errors = (perturbed - clean).double().square().flatten(1).mean(1).cpu()
    powers = clean.double().square().flatten(1).mean(1).cpu()
    return [
        None if error == 0 or power == 0 else float(10.0 * (power / error).log10())
        for power, error in zip(powers, errors, strict=True)
    ]
