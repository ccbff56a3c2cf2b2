"""The replay of a report on its model: untouched clips and stored perturbations are classified once more."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evaluation.config import EvaluateConfig
from evaluation.reporting.report import Report
from evaluation.stored.certificates import Certificates
from evaluation.stored.changes import allowed_distance
from evaluation.stored.perturbations import PERTURBATIONS_NAME, Perturbation, read_perturbations, sampled_keys
from evaluation.tasks.measurement import outcomes_of
from evaluation.tasks.portions import exact_arithmetic
from evaluation.tasks.workers import measured_keys
from evaluation.victim import load_victim
from preprocessing.errors import UserError
from preprocessing.reporting.progress import announced
from training.batch import MODALITIES, Batch
from training.data import StoredSplit, open_split
from training.models.classifier import predicted_classes
from training.threat import ThreatModel

logger = logging.getLogger(__name__)

NEAR_TIE = 1e-4
"""Two logits so close, in units of the logits' spread, may change places on another machine."""
TOLERANCE = 1e-3
"""The fraction by which a distance that is measured again may differ, and the same in units of dB."""
BATCH_SIZE = 16

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Replay:
    """The problems that a replay found, and the parts that it could not look at."""

    problems: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def replay(folder: Path, config: EvaluateConfig, report: Report, certificates: Certificates) -> Replay:
    """Classify all clips untouched, and those of the sample with every attack's perturbation, and compare.

    Args:
        folder: the evaluation's.
        config: the report's, with the places where model and data set are now.
        report: the report.
        certificates: its certificates.
    """
    data = config.measured
    try:
        stored = open_split(data, config.split, audio_domain=config.threat.audio_domain)
        victim = load_victim(config, stored.index)
    except UserError as error:
        return Replay(unchecked=(f"predictions: {error}",))
    if victim.sha256 != report.model_sha256:
        what = f"'{config.checkpoint or config.model}' is another model than {report.model_sha256[:12]}"
        return Replay(unchecked=(f"predictions: {what}",))
    if stored.index.content_sha256 != report.measured_content_sha256:
        what = f"'{data}' is another data set than {report.measured_content_sha256[:12]}"
        return Replay(unchecked=(f"predictions: {what}",))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    looked = _Look(victim.model.to(device), stored, report, certificates, device)
    if looked.unknown:
        return Replay(problems=(f"the certificates name clip '{looked.unknown}', which '{data}' has not",))
    with exact_arithmetic(torch.get_num_threads()):
        problems = [*looked.clean_clips(), *looked.perturbed_clips(folder)]
    return Replay(problems=tuple(problems))


class _Look:
    """The model, the clips and the certificates that speak of both."""

    def __init__(
        self, model: nn.Module, stored: StoredSplit, report: Report, certificates: Certificates, device: str
    ) -> None:
        self.model = model
        self.stored = stored
        self.report = report
        self.certificates = certificates
        self.device = device
        self.positions = {clip.key: position for position, (_, clip) in enumerate(stored.clips)}
        self.keys = measured_keys(stored, report.config.limit)
        if report.config.moments:  # the data set that was attacked says which clips, and in what order
            rows = certificates.select(*certificates.measurements[0]).table
            self.keys = tuple(rows["key"].to_pylist())
        self.rows = {key: row for row, key in enumerate(self.keys)}

    @property
    def unknown(self) -> str | None:
        """A clip that the certificates name and the data set has not."""
        return next((key for key in self.keys if key not in self.positions), None)

    def clean_clips(self) -> Iterator[str]:
        """Keys, labels and predictions of all untouched clips."""
        rows = self.certificates.select(*self.certificates.measurements[0]).table
        if tuple(rows["key"].to_pylist()) != self.keys:
            yield f"the certificates are not about the first {len(self.keys)} clips of '{self.stored.split}' in order"
            return
        facts = zip(self.keys, rows["label"].to_pylist(), rows["clean_prediction"].to_pylist(), strict=True)
        said = {key: (label, prediction) for key, label, prediction in facts}
        for batch in self._batches(self.keys, what="classifying untouched clips"):
            found, is_tied = self._classes(batch)
            for key, label, prediction, tied in zip(batch.keys, batch.labels.tolist(), found, is_tied, strict=True):
                if label != said[key][0]:
                    yield f"clip '{key}': the certificates call its class {said[key][0]}, the data set {label}"
                if prediction != said[key][1] and not tied:
                    yield f"clip '{key}' untouched: the certificates say class {said[key][1]}, the model {prediction}"

    def perturbed_clips(self, folder: Path) -> Iterator[str]:
        """The stored perturbations: whether all that should be there are, what they are, and what the model says."""
        config = self.report.config
        if config.stored_perturbations == 0:
            return  # a report of an earlier version has no such file
        wanted = sampled_keys(self.keys, num_clips=config.stored_perturbations, seed=config.seed)
        missing = {
            (row["key"], row["attack"], row["threat"])
            for row in self.certificates.table.select(["key", "attack", "threat", "perturbed_prediction"]).to_pylist()
            if row["key"] in wanted and row["perturbed_prediction"] is not None
        }
        rows: list[Row] = []
        for row in read_perturbations(folder / PERTURBATIONS_NAME):
            place = row["key"], row["attack"], row["threat"]
            if place not in missing:
                yield f"{PERTURBATIONS_NAME} has one of clip '{place[0]}' by {place[1]}, which is not of the sample"
                continue
            missing.remove(place)
            if rows and (len(rows) == BATCH_SIZE or rows[0]["threat"] != row["threat"]):
                yield from self._tried_again(rows)
                rows = []
            rows.append(row)
        if rows:
            yield from self._tried_again(rows)
        for key, attack, threat in sorted(missing)[:5]:
            yield f"{PERTURBATIONS_NAME} lacks the perturbation of clip '{key}' by {attack} under {threat}"

    def _tried_again(self, rows: Sequence[Row]) -> Iterator[str]:
        """Stored perturbations under one threat model: what is different from their certificates."""
        threat = ThreatModel.model_validate(rows[0]["threat"])
        clean = self._read([row["key"] for row in rows])
        perturbed = Perturbation.from_rows(rows, clean).applied(clean, threat)
        outcomes = outcomes_of(self.model, clean, perturbed, threat)
        _, is_tied = self._classes(perturbed)
        distances = {name: found.tolist() for name, found in threat.distances(perturbed, clean).items()}
        for number, (row, outcome, tied) in enumerate(zip(rows, outcomes, is_tied, strict=True)):
            what = f"clip '{row['key']}' under {row['attack']}, {threat}"
            for name in MODALITIES:
                distance = distances[name][number]
                if not distance <= allowed_distance(threat.epsilon(name)):
                    yield f"{what}: the stored {name} is {distance:g} away from the clean clip"
            if outcome["linf_outside"] != 0:
                yield f"{what}: the stored perturbation changes a segment that the threat model spares"
            stated = self._certificate(row)
            for column, found in outcome.items():
                if column == "perturbed_prediction":
                    is_same = stated[column] == found or tied
                else:
                    is_same = _close(stated[column], found)
                if not is_same:
                    yield f"{what}: the certificate says {column} {stated[column]}, the stored perturbation has {found}"

    def _certificate(self, row: Row) -> Row:
        """The certificate of a stored perturbation."""
        found = self.certificates.select(row["attack"], row["threat"]).table
        certificate: Row = found.slice(self.rows[row["key"]], 1).to_pylist()[0]
        return certificate

    def _classes(self, batch: Batch) -> tuple[list[int], list[bool]]:
        """The class of each clip, and whether another one is as good but for rounding."""
        with torch.no_grad():
            logits = self.model(batch.video, batch.audio).logits
        first, second = logits.topk(2, dim=1).values.unbind(1)
        spread = (logits.amax(1) - logits.amin(1)).clamp_min(torch.finfo(logits.dtype).tiny)
        return predicted_classes(logits).tolist(), ((first - second) / spread < NEAR_TIE).tolist()

    def _batches(self, keys: Sequence[str], *, what: str) -> Iterator[Batch]:
        """The clips with these keys in batches, with a line every few seconds."""
        groups = [keys[start : start + BATCH_SIZE] for start in range(0, len(keys), BATCH_SIZE)]
        return announced(map(self._read, groups), total=len(groups), log=logger.info, what=f"{what}, batch")

    def _read(self, keys: Sequence[str]) -> Batch:
        return self.stored.read([self.positions[key] for key in keys]).to(self.device)


def _close(stated: object, found: object) -> bool:
    """True if two measured numbers are the same but for rounding; None = nothing changed."""
    if stated is None or found is None:
        return stated is found
    assert isinstance(stated, float) and isinstance(found, float)  # noqa: PT018  # columns of numbers
    return abs(stated - found) <= TOLERANCE * max(abs(stated), abs(found), 1e-6)
