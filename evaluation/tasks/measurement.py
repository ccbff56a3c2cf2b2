"""Attacks on the clips of one batch with the certificates of what they did, and the list of attacks to run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from evaluation.masking.facts import ClipFacts, clip_facts, full_precision
from evaluation.planning.plan import Measurement
from evaluation.stored.certificates import Certificate, Certificates
from evaluation.stored.changes import REPORTED_NORMS, sizes
from evaluation.stored.perturbations import SCHEMA as PERTURBATIONS_SCHEMA
from evaluation.stored.pieces import Piece, Position
from evaluation.tasks.crafting import attack_checked
from preprocessing.storage.provenance import device_name
from training.attacks.engine.gradients import count_unusable_gradients
from training.attacks.engine.moments import OtherMoments
from training.batch import MODALITIES, Batch
from training.models.classifier import predicted_classes
from training.threat import ThreatModel

HELD_BYTES = 2**30
"""Clips that a worker keeps in memory while all attacks run over them."""

NO_SURROGATES: Mapping[str, nn.Module] = MappingProxyType({})

SampledClips = Callable[[Sequence[str]], OtherMoments]
"""The clips with these keys as the model samples them, where an attacker does not know the moments."""

IsFooled = Bool[np.ndarray, " batch"]
NOTHING_KEPT: Mapping[Position, IsFooled] = MappingProxyType({})

NOT_ATTACKED: dict[str, object] = {
    "perturbed_prediction": None,
    "linf_outside": 0.0,
    "unusable_gradients": 0.0,
    "psnr_video_db": None,
    "snr_audio_db": None,
    **{f"{what}_{name}": 0.0 for what in ("distance", *REPORTED_NORMS) for name in MODALITIES},
}
"""Columns of a clip that was left out: nothing was done to it."""


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


NOT_FINITE = "nothing: its scores are not finite"
"""The class that a model names where it names none."""


def measure_all(
    model: nn.Module,
    batches: Iterable[Batch],
    measurements: Sequence[Measurement],
    *,
    seed: int,
    model_sha256: str,
    first_batch: int = 0,
    surrogates: Mapping[str, nn.Module] = NO_SURROGATES,
    sampled: SampledClips | None = None,
    stored: Collection[str] = (),
    kept: Mapping[Position, IsFooled] = NOTHING_KEPT,
    held_bytes: int = HELD_BYTES,
) -> Iterator[Piece]:
    """Run every measurement over the batches, attack after attack; facts about clips are under the first one's threat.

    Clips are read once: as many batches as fit into `held_bytes` are held while all attacks run over them.

    Args:
        model: in evaluation mode, on the device to use.
        batches: clips, on any device.
        measurements: what to run; one refers to others by their position here.
        seed: decides all randomness, with the clips' keys.
        model_sha256: names the model.
        first_batch: number of the first batch among all those of the evaluation.
        surrogates: the models that attacks are crafted on, by name, on the same device.
        sampled: under `moments=other`, the clips that attacks are judged on; None = those that they are made on.
        stored: keys of the clips whose perturbations are kept.
        kept: pieces that are there already, and the clips that were fooled in each: they are not measured again.
        held_bytes: memory for the clips of one group.
    """
    device = next(model.parameters()).device
    name = device_name(str(device))
    for group in _groups(enumerate(batches, first_batch), held_bytes // 2 if sampled else held_bytes):
        threat = measurements[0].threat
        held = [BatchUnderAttack(number, batch, model, device, threat, sampled) for number, batch in group]
        for position, measurement in enumerate(measurements):
            source = model if measurement.surrogate is None else surrogates[measurement.surrogate]
            for clips in held:
                if (position, clips.number) in kept:
                    clips.is_fooled[position] = kept[position, clips.number]
                    continue
                rows, perturbations = measure(
                    model,
                    clips.batch.to(device),
                    measurement,
                    facts=clips.facts,
                    moments=clips.moments.to(device) if clips.moments else None,
                    source=source,
                    left_out=clips.left_out(measurement),
                    stored=stored,
                    seed=seed,
                    model_sha256=model_sha256,
                )
                certificates = Certificates.from_rows(rows)
                clips.is_fooled[position] = ~certificates.is_robust
                yield Piece(position, clips.number, certificates, name, perturbations)


class BatchUnderAttack:
    """A batch with what is known of its clips while one attack after the other runs over it."""

    def __init__(
        self,
        number: int,
        batch: Batch,
        model: nn.Module,
        device: torch.device,
        threat: ThreatModel,
        sampled: SampledClips | None = None,
    ) -> None:
        self.number = number
        self.batch = batch
        self.is_fooled: dict[int, IsFooled] = {}
        """By measurement, True for clips that were wrong untouched or under it."""
        self._model = model
        self._device = device
        self._threat = threat
        self._sampled = sampled

    @cached_property
    def moments(self) -> OtherMoments | None:
        """The clips that attacks are judged on, if these are others."""
        return self._sampled(self.batch.keys) if self._sampled else None

    @cached_property
    def facts(self) -> ClipFacts:
        """Facts about the untouched clips: gradients where attacks follow them, classes where they are judged."""
        clips = self.batch.to(self._device)
        facts = clip_facts(self._model, clips, self._threat)
        if self.moments is None:
            return facts
        return replace(facts, prediction=predict(self._model, self.moments.to(self._device).untouched(clips)))

    def left_out(self, measurement: Measurement) -> IsFooled:
        """True for clips that a measurement need not attack."""
        if measurement.leaves_out is None:
            return np.zeros(len(self.batch), dtype=bool)
        is_wrong = (self.facts.prediction != self.batch.labels.to(self._device)).cpu().numpy()
        fooled = [self.is_fooled[position] for position in measurement.leaves_out]
        return np.asarray(np.logical_or.reduce([is_wrong, *fooled]))


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
    moments: OtherMoments | None = None,
    source: nn.Module | None = None,
    left_out: IsFooled | None = None,
    stored: Collection[str] = (),
) -> tuple[list[Certificate], pa.Table]:
    """Attack the clips of a batch, but for those that are left out, and write down what happened to each.

    `source` is the model that the attack is crafted on; None = the one that is measured. `moments` are the clips that
    the attack is judged on; None = those that it is made on.

    Returns:
        A certificate of each clip, and the perturbations of those whose keys are in `stored`.

    Raises:
        BudgetError: if the attack broke its promise to stay inside the threat model.
    """
    threat = measurement.threat
    attacked = np.flatnonzero(~left_out) if left_out is not None else np.arange(len(batch))
    is_whole = len(attacked) == len(batch)
    clips = batch
    if not is_whole:
        those = torch.as_tensor(attacked, device=batch.video.device)
        clips, moments = batch.select(those), moments.select(those) if moments else None
    found: list[dict[str, object]] = []
    perturbations = PERTURBATIONS_SCHEMA.empty_table()
    if len(attacked):
        with count_unusable_gradients() as gradients:
            perturbation = attack_checked(source or model, clips, measurement, seed=seed, moments=moments)
        unusable = [{"unusable_gradients": gradients.share_of(key)} for key in clips.keys]
        judged = moments.untouched(clips) if moments else clips
        outcomes = outcomes_of(model, judged, perturbation.applied(judged, threat), threat)
        found = [outcome | lost for outcome, lost in zip(outcomes, unusable, strict=True)]
        perturbations = perturbation.table(clips.keys, chosen=stored, attack=measurement.label, threat=threat)
    by_clip = dict(zip(attacked.tolist(), found, strict=True))
    shared = {
        "attack": measurement.label,
        "threat": str(threat),
        "epsilon_video": threat.video,
        "epsilon_audio": threat.audio,
        "seed": seed,
        "model_sha256": model_sha256,
    }
    rows = [
        Certificate.model_validate(clip | shared | by_clip.get(number, NOT_ATTACKED))
        for number, clip in enumerate(facts.rows(batch))
    ]
    return rows, perturbations


def outcomes_of(model: nn.Module, clean: Batch, perturbed: Batch, threat: ThreatModel) -> list[dict[str, object]]:
    """The columns of each clip's certificate that say what a perturbation is and what the model makes of it."""
    columns: dict[str, Sequence[object]] = {
        "perturbed_prediction": predict(model, perturbed).tolist(),
        **sizes(threat, perturbed, clean),
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def predict(model: nn.Module, batch: Batch) -> Int[Tensor, " batch"]:
    """The model's class for each clip, in full precision; -1 where its scores are not finite."""
    with torch.no_grad(), full_precision(batch):
        return predicted_classes(model(batch.video, batch.audio).logits)
