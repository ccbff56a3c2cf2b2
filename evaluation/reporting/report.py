"""report.json: what was found. Every number is a function of the certificates and the config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from evaluation.config import EvaluateConfig
from evaluation.intervals import CONFIDENCE, Interval, exact_interval
from evaluation.masking.check import Check
from evaluation.reporting.results import (
    AttackResult,
    ClassResult,
    Confusion,
    CurvePoint,
    ExampleFacts,
    Facts,
    ModalityResult,
    Withheld,
)
from preprocessing.errors import DataError, PlaceError
from preprocessing.reporting.table import FoldedTable
from preprocessing.settings import Settings, first_problem
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.migrations import Record, Step, migrated
from preprocessing.storage.parsing import parse_json, read_regular
from preprocessing.storage.provenance import Provenance
from training.passes import Passes

REPORT_NAME = "report.json"
FORMAT_VERSION: Literal[6] = 6


def _to_3(record: Record) -> Record:
    """Version 2 recorded neither the training objective nor any provenance."""
    return {**record, "objective": None, "trained_with": None, "provenance": None}


def _to_4(record: Record) -> Record:
    """Version 3 had every attack run on every clip, knew no surrogates, and said with 0 GPUs that there is none."""
    config = dict(record["config"])
    gpus = config.pop("gpus_per_worker")
    config |= {"gpu": gpus > 0, "gpus_per_worker": gpus or 1.0, "stored_perturbations": 0}

    def result(attack: Record) -> Record:
        return {**attack, "num_left_out": 0}

    lists = {name: [result(attack) for attack in record[name]] for name in ("attacks", "modalities", "curve")}
    return {**record, **lists, "unbounded": result(record["unbounded"]), "config": config}


def _to_5(record: Record) -> Record:
    """Version 4 had one attack behind the curve and the single modalities, and no intervals of classes."""

    def point(attack: Record) -> Record:
        names = "robust_accuracy", "robust_accuracy_interval"
        return {**attack, **{f"worst_case_{name}": attack[name] for name in names}, "worst_case_of": [attack["name"]]}

    def intervals(row: Record) -> Record:
        names = "clean_accuracy", "worst_case_robust_accuracy"
        hits = {name: round(row[name] * row["num_clips"]) for name in names}
        return {**row, **{f"{name}_interval": exact_interval(hits[name], row["num_clips"]) for name in names}}

    points = {name: [point(attack) for attack in record[name]] for name in ("modalities", "curve")}
    classes = [intervals(row) for row in record["classes"]]
    return {**record, **points, "classes": classes, "config": {**record["config"], "curve_attacks": []}}


def _to_6(record: Record) -> Record:
    """Version 5 crafted a single attack on surrogates."""
    config = dict(record["config"])
    return {**record, "config": config | {"transfer_attacks": [config.pop("transfer_attack", {"name": "mifgsm"})]}}


STEPS: dict[int, Step] = {2: _to_3, 3: _to_4, 4: _to_5, 5: _to_6}
"""By format version, the function that makes a record of it one of the next."""


class Report(Settings):
    """Everything an evaluation found."""

    format_version: Literal[6] = FORMAT_VERSION
    clean_accuracy: float
    clean_accuracy_interval: Interval
    worst_case_robust_accuracy: float | None
    """Share of all clips that withstand every attack of the list, and every other whose budget lies inside the threat
    model; None = withheld."""
    worst_case_robust_accuracy_interval: Interval | None
    withheld: Withheld | None
    """The headline number when a check for gradient masking fired."""
    threat: str
    """Threat model of the headline number."""
    attacks: tuple[AttackResult, ...]
    modalities: tuple[ModalityResult, ...]
    curve: tuple[CurvePoint, ...]
    unbounded: AttackResult
    classes: tuple[ClassResult, ...]
    confusions: tuple[Confusion, ...] = ()
    """The commonest mistakes under attack; none before version 5."""
    checks: tuple[Check, ...]
    num_clips: int
    confidence: float = CONFIDENCE
    """Coverage of all intervals: paired bootstrap over clips, percentiles."""
    class_names: tuple[str, ...]
    """All classes; a label is an index into them."""
    model_sha256: str
    surrogates_sha256: tuple[str, ...] = ()
    """Hashes of the models that transferred attacks were crafted on, in the order of the settings."""
    dataset_content_sha256: str
    moments_content_sha256: str | None = None
    """Of the same clips as the model samples them, on which attacks are judged; None = on those that they are made on.
    """
    certificates_sha256: str
    seconds: float
    """Wall-clock time of the evaluation."""
    device: str
    objective: str | None = None
    """Name of the objective that the model was trained by; None = its checkpoint does not say."""
    trained_with: Provenance | None = None
    """The code, libraries and machine that wrote the checkpoint; None = it does not say."""
    provenance: Provenance | None = None
    """The same of the evaluation; None = version 2, which did not record them."""
    left_out: tuple[str, ...] = ()
    """Attacks of the list that could not be run on this model, each with its reason."""
    example: ExampleFacts | None = None
    """The clip that the page shows; None if no attack fooled any."""
    config: EvaluateConfig

    @property
    def headline(self) -> str:
        """The worst case in a few words, or that it is withheld."""
        if self.worst_case_robust_accuracy is None:
            return "worst-case robust accuracy withheld"
        return f"worst-case robust accuracy {self.worst_case_robust_accuracy:.3f} under {self.threat}"

    @property
    def strongest(self) -> AttackResult:
        """The attack that left the least standing, of those that were run on every clip."""
        whole = [attack for attack in self.attacks if not attack.num_left_out]
        return min(whole or self.attacks, key=lambda attack: attack.robust_accuracy)

    @property
    def model_name(self) -> str:
        """The name of the run that a checkpoint came from, of its folder or of the one around it; a factory's name."""
        if self.config.checkpoint is None:
            return str(self.config.model).rpartition(":")[2]
        path = Path(self.config.checkpoint)
        return (path.parent.name or path.name) if path.name == "checkpoint" else path.name

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings beside the checks: attacks of the list that often had no gradient to follow."""
        allowed = self.config.checks.max_zero_gradient_share
        return tuple(
            f"{attack.name}: {percent(attack.unusable_gradients)} of its gradients were zero or not finite and noise "
            "took their place, so it may be weaker than it should be"
            for attack in self.attacks
            if attack.unusable_gradients > allowed
        ) + tuple(f"left out: {reason}" for reason in self.left_out)

    @property
    def measured_content_sha256(self) -> str:
        """Names the content of the data set on whose clips success is measured."""
        return self.moments_content_sha256 or self.dataset_content_sha256

    @property
    def facts(self) -> Facts:
        """The part that does not follow from the certificates."""
        known = {name: getattr(self, name) for name in Facts.model_fields if name != "unbounded_threat"}
        return Facts(unbounded_threat=self.unbounded.threat, **known)

    @classmethod
    def read(cls, folder: str | Path) -> Report:
        """Read `report.json` of an evaluation's folder.

        Raises:
            PlaceError: if there is none.
            DataError: if it is no report that this code can read.
        """
        path = Path(folder) / REPORT_NAME
        if not path.is_file():
            raise PlaceError(f"'{path}' does not exist: '{folder}' holds no finished evaluation")
        record = parse_json(read_regular(path), what=f"'{path}'")
        record = migrated(record, to=FORMAT_VERSION, steps=STEPS, what=f"'{path}'")
        try:
            return cls.model_validate_json(json.dumps(record))
        except ValidationError as error:
            raise DataError(f"'{path}' is not a report of this version: {first_problem(error)}") from error

    def write(self, folder: Path) -> None:
        """Write `report.json`; it appears whole or not at all."""
        write_text(folder / REPORT_NAME, self.model_dump_json(indent=2) + "\n")

    @property
    def total_cost(self) -> Passes:
        """Passes per clip of all attacks of the list, at most."""
        return Passes(
            sum(attack.forward_passes for attack in self.attacks),
            sum(attack.backward_passes for attack in self.attacks),
        )

    def table(self) -> Table:
        """The numbers for the console."""
        table = FoldedTable(title=f"{self.num_clips} clips, threat model {self.threat}", title_justify="left")
        for heading, justify in (("", "left"), ("accuracy", "right"), ("95 % interval", "right")):
            table.add_column(heading, justify="right" if justify == "right" else "left")
        table.add_column("attack success", justify="right")
        table.add_column("forward", justify="right")
        table.add_column("backward", justify="right")
        table.add_row("clean", percent(self.clean_accuracy), percents(self.clean_accuracy_interval), "", "", "")
        for attack in self.attacks:
            table.add_row(
                attack.name + (f" (on the {self.num_clips - attack.num_left_out} left)" if attack.num_left_out else ""),
                percent(attack.robust_accuracy),
                percents(attack.robust_accuracy_interval),
                percent(attack.attack_success_rate),
                str(attack.forward_passes),
                str(attack.backward_passes),
            )
        table.add_section()
        total = self.total_cost
        headline = "withheld" if self.withheld else percent(self.worst_case_robust_accuracy)
        interval = percents(self.worst_case_robust_accuracy_interval)
        table.add_row("worst case", headline, interval, "", str(total.forward), str(total.backward))
        notes = ["worst case withheld: " + "; ".join(self.withheld.reasons)] if self.withheld else []
        if notes := [*notes, *self.warnings]:
            table.caption = "\n".join(notes)
        return table


def print_table(report: Report) -> None:
    """Print the report's table to the console."""
    Console().print(report.table())


def percent(share: float | None) -> str:
    """`86.5 %`, or `-` where there is no number."""
    return "-" if share is None else f"{100 * share:.1f} %"


def percents(interval: Interval | None) -> str:
    """`81.0 to 91.0`."""
    return "-" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"
