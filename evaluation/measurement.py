"""Attacks on the clips of one batch with the certificates of what they did, and the list of attacks to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from evaluation.certificates import Certificate
from evaluation.config import EvaluateConfig, attack_label
from evaluation.gradient_masking import ClipFacts, clip_facts, full_precision
from preprocessing.schema import ClipFormat
from preprocessing.storage.provenance import device_name
from training.attacks import Attack
from training.attacks.engine.gradients import count_unusable_gradients
from training.batch import MODALITIES, Batch
from training.models.classifier import predicted_classes
from training.norms import NORMS
from training.passes import Passes
from training.threat import ThreatModel

REPORTED_NORMS = ("linf", "l2")
"""Norms in which every change is measured, whichever bounds it."""

HELD_BYTES = 2**30
"""Clips that a worker keeps in memory while all attacks run over them."""

ROUNDING = 1e-5
"""The fraction by which a distance may exceed its epsilon: sums in 32-bit floating point."""


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
    def cost(self) -> Passes:
        """Forward and backward passes per clip, at most; none without a budget."""
        return self.attack.cost if self.threat.modalities else Passes()


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
    """Log-mel patches, also where the attack perturbed the waveform in front of them."""
    perturbed_audio: Float[np.ndarray, "segments mels steps"]


class BudgetError(RuntimeError):
    """An attack returned a clip outside its budget, its box or its segments: its numbers would be meaningless."""


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
    """The same norm, with room to turn any clip into any other in the modalities that `threat` allows.

    In every segment, whatever `threat` spares: a clip may rightly be recognised by the segments that stay as they are,
    and that would look like a failed attack.
    """
    is_waveform = threat.audio_domain == "waveform"
    values_per_segment = {
        "video": 3 * clip_format.frame_size**2,
        "audio": clip_format.segment_samples if is_waveform else clip_format.num_mels * clip_format.steps,
    }
    radius = {}
    for name in threat.modalities:
        low, high = threat.box(name)
        num_values = clip_format.num_segments * values_per_segment[name]
        radius[name] = (high - low) * threat.geometry.length_of_ones(num_values)
    return ThreatModel(
        norm=threat.norm,
        video=radius.get("video", 0.0),
        audio=radius.get("audio", 0.0),
        audio_domain=threat.audio_domain,
    )


@dataclass(frozen=True)
class Piece:
    """The certificates of one measurement on one batch."""

    measurement: int
    """Position in the list of measurements."""
    batch: int
    """Position among the batches."""
    rows: tuple[Certificate, ...]
    device: str
    """Name of the processor or GPU that it was measured on."""


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
    name = device_name(str(device))
    for group in _groups(enumerate(batches), held_bytes):
        held = [(number, batch, clip_facts(model, batch.to(device))) for number, batch in group]
        for position, measurement in enumerate(measurements):
            for number, batch, facts in held:
                rows = measure(model, batch.to(device), measurement, facts=facts, seed=seed, model_sha256=model_sha256)
                yield Piece(position, number, tuple(rows), name)


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
    with count_unusable_gradients() as gradients:
        perturbed = attack_checked(model, batch, measurement, seed=seed)
    threat = measurement.threat
    columns: dict[str, Sequence[object]] = {
        "perturbed_prediction": predict(model, perturbed).tolist(),
        "linf_outside": change_outside(threat, perturbed, batch).tolist(),
        "unusable_gradients": [gradients.share_of(key) for key in batch.keys],
        "psnr_video_db": peak_signal_to_noise_db(perturbed.video, batch.video),
        "snr_audio_db": signal_to_noise_db(perturbed.audio, batch.audio),
    }
    for name in MODALITIES:
        change = perturbed.stream(name) - batch.stream(name)
        columns[f"distance_{name}"] = threat.length(change).tolist()
        columns |= {f"{norm}_{name}": NORMS[norm].length(change).tolist() for norm in REPORTED_NORMS}
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


def attack_checked(model: nn.Module, batch: Batch, measurement: Measurement, *, seed: int) -> Batch:
    """Perturb the clips of a batch in full precision; randomness depends on `seed` and each clip's key only.

    Raises:
        BudgetError: if a perturbed clip lies outside the budget, outside its box or differs in a spared segment.
    """
    generator, threat = torch.Generator().manual_seed(seed), measurement.threat
    with full_precision(batch):
        perturbed = measurement.attack(model, batch, threat, generator)
    distances, outside = threat.distances(perturbed, batch), change_outside(threat, perturbed, batch)
    for name in MODALITIES:
        distance, stream, epsilon, (low, high) = (
            distances[name],
            perturbed.stream(name),
            threat.epsilon(name),
            threat.box(name),
        )
        is_in_box = ((stream >= low) & (stream <= high)).flatten(1).all(1)
        is_inside = (distance <= allowed_distance(epsilon)) & is_in_box & (outside == 0)
        if not bool(is_inside.all()):
            lost = int((~is_inside).nonzero()[0])
            raise BudgetError(
                f"attack '{measurement.label}' left {threat}: clip '{batch.keys[lost]}' has {name} at distance "
                f"{float(distance[lost]):g} (allowed {epsilon:g}), values outside [{low:g}, {high:g}], or a change of "
                f"{float(outside[lost]):g} in a segment that must stay as it is"
            )
    return perturbed


def change_outside(threat: ThreatModel, perturbed: Batch, clean: Batch) -> Float[Tensor, " batch"]:
    """Largest change of any value in a segment that the threat model spares, per clip: 0 if it was obeyed."""
    if threat.segments is None:
        return torch.zeros(len(clean), device=clean.video.device)
    changes = (perturbed.stream(name) - clean.stream(name) for name in MODALITIES)
    return torch.stack([(change * ~threat.support(change)).abs().flatten(1).amax(1) for change in changes]).amax(0)


def predict(model: nn.Module, batch: Batch) -> Int[Tensor, " batch"]:
    """The model's class for each clip, in full precision; -1 where its scores are not finite."""
    with torch.no_grad(), full_precision(batch):
        return predicted_classes(model(batch.video, batch.audio).logits)


def allowed_distance(epsilon: float) -> float:
    """The largest distance that counts as within `epsilon`, given 32-bit rounding; exactly 0 for epsilon 0."""
    return epsilon * (1.0 + ROUNDING) + (1e-7 if epsilon else 0.0)


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
