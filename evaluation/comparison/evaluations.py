"""The finished evaluations of a method: what each training's model got right, clip by clip, in one order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from evaluation.attack_lists import attack_label
from evaluation.comparison.crossed import Outcomes
from evaluation.planning.plan import attempts_of, inside
from evaluation.reporting.report import Report
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates, file_sha256
from preprocessing.errors import DataError, SettingsError
from training.threat import ThreatModel

CLEAN = "no attack"
"""The measure without any attack."""
WORST_CASE = "worst case"
"""The measure in which a clip must withstand every attack that all evaluations have in common."""

Folders = str | Path | Sequence[str | Path]
"""Of the evaluations of one method: one, or one for each of its trainings."""


@dataclass(frozen=True)
class Evaluation:
    """A report and its certificates."""

    folder: str
    report: Report
    certificates: Certificates

    @classmethod
    def read(cls, folder: str | Path) -> Evaluation:
        """Read a finished evaluation.

        Raises:
            PlaceError: if there is none.
            DataError: if it cannot be read, or its two files do not belong together.
        """
        report = Report.read(folder)
        file = Path(folder) / CERTIFICATES_NAME
        certificates = Certificates.read(file)
        if file_sha256(file) != report.certificates_sha256:
            raise DataError(
                f"'{file}' is not the file that the report beside it was made from; `python -m pipeline verify "
                f"{folder}` says more, and evaluating again mends it"
            )
        return cls(str(folder), report, certificates)

    @property
    def labels(self) -> dict[str, int]:
        """The true class of every clip by its key."""
        clips = self.certificates.select(attack_label(self.report.config.attacks[0]), self.report.threat)
        return dict(zip(clips.column("key").tolist(), clips.column("label").tolist(), strict=True))

    def is_right(self, measure: str, attacks: Sequence[str]) -> Bool[np.ndarray, " clips"]:
        """True where the clip is right by this measure, in the order of the keys.

        Args:
            measure: `CLEAN`, `WORST_CASE` or the label of an attack.
            attacks: labels of the attacks over which the worst case is taken.
        """
        if measure == CLEAN:
            return self._right(attacks[0], self.report.threat, is_attacked=False)
        chosen = attacks if measure == WORST_CASE else [measure]
        return np.asarray(np.logical_and.reduce([self.is_robust(attack, self.report.threat) for attack in chosen]))

    def is_robust(self, attack: str, threat: str) -> Bool[np.ndarray, " clips"]:
        """True where the clip is right untouched and under one attack, in the order of the keys."""
        return self._right(attack, threat, is_attacked=True)

    def withstands_all(self, threat: ThreatModel) -> Bool[np.ndarray, " clips"]:
        """True where the clip withstands every attack that was run under this threat or one inside it, in the order of
        the keys."""
        attempts = inside(attempts_of(self.report.config), threat)
        found = [self.is_robust(*attempt.pair) for attempt in attempts]
        return np.asarray(np.logical_and.reduce(found))

    def _right(self, attack: str, threat: str, *, is_attacked: bool) -> Bool[np.ndarray, " clips"]:
        rows = self.certificates.select(attack, threat)
        right = rows.is_robust if is_attacked else rows.is_right_when_clean
        return np.asarray(right[np.argsort(rows.column("key").astype(str))])


@dataclass(frozen=True)
class Method:
    """The evaluations of one method: one for each training with another seed."""

    name: str
    evaluations: tuple[Evaluation, ...]

    @property
    def reports(self) -> tuple[Report, ...]:
        """The report of each training."""
        return tuple(each.report for each in self.evaluations)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons for which the headline number of a training is withheld, each once; empty if none is."""
        found = [reason for report in self.reports if report.withheld for reason in report.withheld.reasons]
        return tuple(dict.fromkeys(found))

    @property
    def is_withheld(self) -> bool:
        """True if the headline number of any training is."""
        return any(report.withheld for report in self.reports)

    def outcomes(self, measure: str, attacks: Sequence[str]) -> Outcomes:
        """True where a training's model is right on a clip by this measure, see `Evaluation.is_right`."""
        return np.stack([each.is_right(measure, attacks) for each in self.evaluations])

    def outcomes_under(self, attack: str, threat: ThreatModel) -> Outcomes:
        """True where a training's model withstands one attack under any threat that was measured."""
        return np.stack([each.is_robust(attack, str(threat)) for each in self.evaluations])

    def worst_outcomes_under(self, threat: ThreatModel) -> Outcomes:
        """True where a training's model withstands all attacks that play by this threat, see `withstands_all`."""
        return np.stack([each.withstands_all(threat) for each in self.evaluations])


def named(methods: Mapping[str, Folders] | Sequence[str | Path]) -> dict[str, tuple[str | Path, ...]]:
    """The folders of each method by its name; folders without names are called by their last part.

    Raises:
        SettingsError: if two have the same last part.
    """
    if isinstance(methods, Mapping):
        return {name: _several(folders) for name, folders in methods.items()}
    found: dict[str, tuple[str | Path, ...]] = {}
    for folder in methods:
        name = Path(folder).resolve().name
        if name in found:
            raise SettingsError(f"'{found[name][0]}' and '{folder}' are both called '{name}': name them, NAME=DIR")
        found[name] = (folder,)
    return found


def read_methods(methods: Mapping[str, Sequence[str | Path]]) -> tuple[Method, ...]:
    """Read every evaluation of every method.

    Raises:
        SettingsError: if there are fewer than two methods.
        UserError: if an evaluation cannot be read.
        DataError: if two trainings of a method are the same model, or were trained by different objectives.
    """
    if len(methods) < 2:
        raise SettingsError(f"got {len(methods)} methods; at least two are needed to compare anything")
    found = [Method(name, tuple(map(Evaluation.read, folders))) for name, folders in methods.items()]
    problems = [problem for method in found for problem in _problems_of(method)]
    if problems:
        raise DataError("\n".join(problems))
    return tuple(found)


def _problems_of(method: Method) -> Iterator[str]:
    models: dict[str, str] = {}
    for each in method.evaluations:
        other = models.setdefault(each.report.model_sha256, each.folder)
        if other != each.folder or [one.folder for one in method.evaluations].count(each.folder) > 1:
            yield (
                f"'{method.name}': '{other}' and '{each.folder}' measured the same model; give one folder for each "
                "training, and leave the repetition out"
            )
            return
    objectives = sorted({str(report.objective) for report in method.reports})
    if len(objectives) > 1:
        yield f"'{method.name}': its trainings have different objectives ({', '.join(objectives)}); name them apart"


def _several(folders: Folders) -> tuple[str | Path, ...]:
    return (folders,) if isinstance(folders, str | Path) else tuple(folders)
