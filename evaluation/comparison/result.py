"""comparison.json: what was found, method by method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evaluation.comparison.crossed import Estimate
from evaluation.comparison.evaluations import CLEAN, WORST_CASE
from evaluation.intervals import Interval
from preprocessing.settings import Settings
from preprocessing.storage.provenance import Provenance


class Training(Settings):
    """One training of a method: its model, measured once."""

    folder: str
    """Of its evaluation."""
    clean_accuracy: float
    worst_case_robust_accuracy: float | None
    """Over the attacks that all evaluations have in common; None = withheld."""
    model_sha256: str
    trained_with: Provenance | None
    """The code, libraries and machine that trained it; None = unknown."""
    provenance: Provenance | None
    """Those that measured it; None = unknown."""


class ComparedAttack(Settings):
    """One attack that all evaluations have in common."""

    name: str
    """The attack and its settings that differ from the defaults."""
    threat: str
    """The rules it played by."""
    robust_accuracy: float
    """Share of all clips right untouched and under the attack, mean over trainings. Where the method's headline number
    is withheld this is an upper bound that should not be quoted."""
    robust_accuracy_interval: Interval
    robust_accuracy_deviation: float | None
    """Standard deviation between trainings; None = there is one."""
    attack_success_rate: float | None
    """Share of the clips right when clean that the attack turned wrong; None = no clip was right when clean."""


class Difference(Settings):
    """One number of a method minus that of an earlier one, over the same clips and draws."""

    over: str
    """Name of the earlier method."""
    measure: str
    """`no attack`, `worst case`, or an attack."""
    difference: float
    """In shares of the clips; positive = this method is right more often."""
    interval: Interval
    """Of this difference alone: it is not corrected for the number of comparisons."""
    wins: int | None
    """Clips that this method alone has right; None = there are several trainings."""
    losses: int | None
    """Clips that the earlier method alone has right."""
    p_value: float
    """McNemar's exact test of two models; of several trainings a t test over trainings and clips."""
    corrected_p_value: float
    """The same after Holm's correction for all comparisons that were made."""
    is_tie: bool
    """True where no difference is shown: the corrected p-value is not below 0.05."""
    verdict: str
    """The finding in words."""


class Doubt(Settings):
    """A sentence about a pair of methods with too few trainings."""

    over: str
    """Name of the earlier method."""
    sentence: str
    """The reason for which the methods themselves cannot be told apart, or not yet."""


class ComparedMethod(Settings):
    """One method's numbers: means over its trainings."""

    clean_accuracy: float
    clean_accuracy_interval: Interval
    clean_accuracy_deviation: float | None
    """Standard deviation between trainings; None = there is one."""
    worst_case_robust_accuracy: float | None
    """Share of all clips that withstand every common attack; None = withheld."""
    worst_case_robust_accuracy_interval: Interval | None
    worst_case_robust_accuracy_deviation: float | None
    withheld: tuple[str, ...]
    """The reasons for which the headline number of a training is withheld; empty = of none."""
    rank: int | None
    """1 + the number of methods whose worst case is shown to be better, so that ties share a rank; None = withheld."""
    threat: str
    """Threat model of every robust accuracy."""
    split: str
    num_clips: int
    dataset_content_sha256: str
    """Names the data set."""
    objective: str | None
    """Name of the objective that it was trained by; None = unknown."""
    attacks: tuple[ComparedAttack, ...]
    """Those that all evaluations have in common."""
    left_out: tuple[str, ...]
    """Attacks of this method alone, which are in no number here."""
    trainings: tuple[Training, ...]
    differences: tuple[Difference, ...]
    """To each earlier method; none of a worst case or attack where either headline number is withheld."""
    doubts: tuple[Doubt, ...]
    num_comparisons: int
    """Tests that were made in all, for which p-values are corrected."""

    def estimate(self, measure: str) -> Estimate | None:
        """A share with its interval and deviation; None = withheld."""
        if measure == CLEAN:
            return Estimate(self.clean_accuracy, self.clean_accuracy_interval, self.clean_accuracy_deviation, 1.0)
        if measure == WORST_CASE:
            share, interval = self.worst_case_robust_accuracy, self.worst_case_robust_accuracy_interval
            if share is None or interval is None:
                return None
            return Estimate(share, interval, self.worst_case_robust_accuracy_deviation, 1.0)
        [found] = [attack for attack in self.attacks if attack.name == measure]
        return Estimate(found.robust_accuracy, found.robust_accuracy_interval, found.robust_accuracy_deviation, 1.0)


@dataclass(frozen=True)
class Pair:
    """Two methods and everything that was found about their difference."""

    earlier: str
    later: str
    differences: tuple[Difference, ...]
    """Later minus earlier."""
    doubt: str | None


@dataclass(frozen=True)
class Comparison:
    """Methods by name, in the order given."""

    methods: Mapping[str, ComparedMethod]

    @property
    def first(self) -> ComparedMethod:
        """The first method, which knows what all have in common."""
        return next(iter(self.methods.values()))

    @property
    def measures(self) -> tuple[str, ...]:
        """Everything that was measured of all, in the order of the tables."""
        return (CLEAN, *(attack.name for attack in self.first.attacks), WORST_CASE)

    @property
    def num_comparisons(self) -> int:
        """Tests that were made in all."""
        return self.first.num_comparisons

    def pairs(self) -> Iterator[Pair]:
        """Every pair of methods, in the order given."""
        names = list(self.methods)
        for number, later in enumerate(names):
            method = self.methods[later]
            for earlier in names[:number]:
                yield Pair(
                    earlier,
                    later,
                    tuple(each for each in method.differences if each.over == earlier),
                    next((each.sentence for each in method.doubts if each.over == earlier), None),
                )
