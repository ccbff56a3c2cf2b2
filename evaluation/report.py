"""report.json: what was found. Every number is a function of the certificates and the config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool
from rich.console import Console
from rich.table import Table

from evaluation.certificates import Certificates
from evaluation.config import EvaluateConfig, attack_label
from evaluation.gradient_masking import Check, Outcome, run_checks
from evaluation.intervals import CONFIDENCE, Interval, Resampling
from evaluation.robustness import Measurement, modality_threats
from preprocessing.schema import Settings
from training.attacks import Attack
from training.threat import ThreatModel

REPORT_NAME = "report.json"
FORMAT_VERSION: Literal[1] = 1


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
    passes: int
    """Pairs of forward and backward passes per clip."""
    linf_video: float
    """Largest change of any pixel value over all clips."""
    linf_audio: float
    """Largest change of any log-mel value over all clips."""
    l2_video: float
    """Mean Euclidean length of the change of a clip's frames."""
    l2_audio: float
    """Mean Euclidean length of the change of a clip's log-mel patches."""
    psnr_video_db: float | None
    """Mean over the clips whose frames changed; None = none did."""
    snr_audio_db: float | None
    """Mean over the clips whose log-mel patches changed; None = none did."""


class ModalityResult(AttackResult):
    """The reference attack restricted to some modalities."""

    perturbed: Literal["video", "audio", "both"]


class CurvePoint(AttackResult):
    """The reference attack at one epsilon."""

    factor: float
    """Epsilon in units of the report's threat model."""


class ClassResult(Settings):
    """One class."""

    name: str
    num_clips: int
    clean_accuracy: float
    worst_case_robust_accuracy: float


class Withheld(Settings):
    """A headline number that must not be quoted, and why."""

    worst_case_robust_accuracy: float
    worst_case_robust_accuracy_interval: Interval
    reasons: tuple[str, ...]


class Facts(Settings):
    """What a report says beside what follows from its certificates."""

    class_names: tuple[str, ...]
    unbounded_threat: str
    model_sha256: str
    dataset_content_sha256: str
    certificates_sha256: str
    seconds: float
    device: str


class Report(Settings):
    """Everything an evaluation found."""

    format_version: Literal[1] = FORMAT_VERSION
    clean_accuracy: float
    clean_accuracy_interval: Interval
    worst_case_robust_accuracy: float | None
    """Share of all clips that withstand every attack of the list; None = withheld."""
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
    checks: tuple[Check, ...]
    num_clips: int
    confidence: float = CONFIDENCE
    """Coverage of all intervals: paired bootstrap over clips, percentiles."""
    class_names: tuple[str, ...]
    """All classes; a label is an index into them."""
    model_sha256: str
    dataset_content_sha256: str
    certificates_sha256: str
    seconds: float
    """Wall-clock time of the evaluation."""
    device: str
    config: EvaluateConfig

    @property
    def headline(self) -> str:
        """The worst case in a few words, or that it is withheld."""
        if self.worst_case_robust_accuracy is None:
            return "worst-case robust accuracy withheld"
        return f"worst-case robust accuracy {self.worst_case_robust_accuracy:.3f} under {self.threat}"

    @property
    def facts(self) -> Facts:
        """What does not follow from the certificates."""
        known = {name: getattr(self, name) for name in Facts.model_fields if name != "unbounded_threat"}
        return Facts(unbounded_threat=self.unbounded.threat, **known)

    @classmethod
    def read(cls, folder: str | Path) -> Report:
        """Read `report.json` of an evaluation's folder.

        Raises:
            ValueError: if there is none, or it is not a report of this format version.
        """
        path = Path(folder) / REPORT_NAME
        if not path.is_file():
            raise ValueError(f"'{path}' does not exist: '{folder}' holds no finished evaluation")
        return cls.model_validate_json(path.read_text())

    def write(self, folder: Path) -> None:
        """Write `report.json`; it appears whole or not at all."""
        temporary = folder / f".{REPORT_NAME}.temporary"
        temporary.write_text(self.model_dump_json(indent=2) + "\n")
        temporary.replace(folder / REPORT_NAME)

    def table(self) -> Table:
        """The numbers for the console."""
        table = Table(title=f"{self.num_clips} clips, threat model {self.threat}", title_justify="left")
        for heading, justify in (("", "left"), ("accuracy", "right"), ("95 % interval", "right")):
            table.add_column(heading, justify="right" if justify == "right" else "left")
        table.add_column("attack success", justify="right")
        table.add_column("passes", justify="right")
        table.add_row("clean", percent(self.clean_accuracy), percents(self.clean_accuracy_interval), "", "")
        for attack in self.attacks:
            table.add_row(
                attack.name,
                percent(attack.robust_accuracy),
                percents(attack.robust_accuracy_interval),
                percent(attack.attack_success_rate),
                str(attack.passes),
            )
        table.add_section()
        total = sum(attack.passes for attack in self.attacks)
        headline = "withheld" if self.withheld else percent(self.worst_case_robust_accuracy)
        interval = percents(self.worst_case_robust_accuracy_interval)
        table.add_row("worst case", headline, interval, "", str(total))
        if self.withheld:
            table.caption = "worst case withheld: " + "; ".join(self.withheld.reasons)
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


def summarise(certificates: Certificates, *, config: EvaluateConfig, facts: Facts) -> Report:
    """Compute every number of a report.

    Raises:
        ValueError: if certificates that the config asks for are missing.
    """
    return _Summary(certificates, config, facts).report()


class _Summary:
    """The certificates of one evaluation with the draws that all of its intervals share."""

    def __init__(self, certificates: Certificates, config: EvaluateConfig, facts: Facts) -> None:
        self.certificates = certificates
        self.config = config
        self.facts = facts
        self.clips = certificates.select(attack_label(config.attacks[0]), str(config.threat))
        self.resampling = Resampling.draw(self.clips.table.num_rows, num_draws=config.num_resamples, seed=config.seed)

    def report(self) -> Report:
        """Put the parts together."""
        config, reference = self.config, self.config.reference_attack
        survivors = [self.outcome(attack, config.threat) for attack in config.attacks]
        worst_case = np.logical_and.reduce([outcome.is_robust for outcome in survivors])
        unbounded = ThreatModel.model_validate(self.facts.unbounded_threat)
        curve = [config.threat.scaled(factor) for factor in config.curve]
        checks = run_checks(
            self.clips,
            attacks=survivors,
            curve=[self.outcome(reference, threat) for threat in curve],
            unbounded=self.outcome(reference, unbounded),
            attacked=[name for name in ("video", "audio") if getattr(config.threat, name) > 0],
            limits=config.checks,
        )
        is_right = self.clips.is_right_when_clean
        return Report(
            clean_accuracy=float(is_right.mean()),
            clean_accuracy_interval=self.resampling.share(is_right),
            **self.headline(worst_case, checks),
            threat=str(config.threat),
            attacks=tuple(AttackResult(**self.result(attack, config.threat)) for attack in config.attacks),
            modalities=tuple(
                ModalityResult(perturbed=name, **self.result(reference, threat))
                for name, threat in modality_threats(config.threat).items()
            ),
            curve=tuple(
                CurvePoint(factor=factor, **self.result(reference, threat))
                for factor, threat in zip(config.curve, curve, strict=True)
            ),
            unbounded=AttackResult(**self.result(reference, unbounded)),
            classes=tuple(self.classes(is_right, worst_case)),
            checks=checks,
            num_clips=len(is_right),
            config=config,
            **self.facts.model_dump(exclude={"unbounded_threat"}),
        )

    def outcome(self, attack: Attack, threat: ThreatModel) -> Outcome:
        """Which clips withstood one measurement."""
        rows = self.certificates.select(attack_label(attack), str(threat))
        return Outcome(attack_label(attack), str(threat), attack.passes, rows.is_robust)

    def headline(self, worst_case: Bool[np.ndarray, " clips"], checks: Sequence[Check]) -> dict[str, Any]:
        """The worst case, or the reasons why it must not be quoted."""
        number = {
            "worst_case_robust_accuracy": float(worst_case.mean()),
            "worst_case_robust_accuracy_interval": self.resampling.share(worst_case),
        }
        reasons = [f"{check.name}: {check.finding}" for check in checks if check.outcome == "fired"]
        if not reasons:
            return {**number, "withheld": None}
        return {**dict.fromkeys(number), "withheld": {**number, "reasons": reasons}}

    def result(self, attack: Attack, threat: ThreatModel) -> dict[str, Any]:
        """The numbers of one measurement."""
        rows = self.certificates.select(attack_label(attack), str(threat))
        is_right, is_robust = rows.is_right_when_clean, rows.is_robust
        return {
            "name": attack_label(attack),
            "threat": str(threat),
            "robust_accuracy": float(is_robust.mean()),
            "robust_accuracy_interval": self.resampling.share(is_robust),
            "attack_success_rate": float((~is_robust)[is_right].mean()) if is_right.any() else None,
            "attack_success_rate_interval": self.resampling.share_among(~is_robust, is_right),
            "passes": Measurement(attack, threat).passes,
            "linf_video": float(rows.numbers("linf_video").max()),
            "linf_audio": float(rows.numbers("linf_audio").max()),
            "l2_video": float(rows.numbers("l2_video").mean()),
            "l2_audio": float(rows.numbers("l2_audio").mean()),
            "psnr_video_db": _mean_of_known(rows.numbers("psnr_video_db")),
            "snr_audio_db": _mean_of_known(rows.numbers("snr_audio_db")),
        }

    def classes(
        self, is_right: Bool[np.ndarray, " clips"], worst_case: Bool[np.ndarray, " clips"]
    ) -> list[ClassResult]:
        """Accuracy of each class that has clips."""
        labels = self.clips.column("label")
        members = {label: labels == label for label in range(len(self.facts.class_names))}
        return [
            ClassResult(
                name=self.facts.class_names[label],
                num_clips=int(chosen.sum()),
                clean_accuracy=float(is_right[chosen].mean()),
                worst_case_robust_accuracy=float(worst_case[chosen].mean()),
            )
            for label, chosen in members.items()
            if chosen.any()
        ]


def _mean_of_known(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
