"""From outcomes to a report: every number is computed here, and again by `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from evaluation.intervals import Interval, Resampling, exact_interval, percentiles
from evaluation.transfer.config import TransferConfig
from evaluation.transfer.outcomes import Outcomes
from evaluation.transfer.report import Cell, Facts, Group, Mean, ModelResult, TransferReport
from evaluation.transfer.surrogates import Surrogate
from preprocessing.errors import DataError

GROUPS: tuple[Group, ...] = ("single", "ensemble", "leave_one_out", "white_box")


def summarise(outcomes: Outcomes, *, config: TransferConfig, facts: Facts) -> TransferReport:
    """Compute every number of a report.

    Raises:
        DataError: if outcomes are missing, or do not cover the same clips everywhere.
    """
    return _Summary(outcomes, config, facts).report()


@dataclass(frozen=True)
class Tried:
    """One attack on one surrogate, as a victim bears it: a value for each clip."""

    counts: Bool[np.ndarray, " clips"]
    """True for clips that surrogate and victim have right untouched."""
    is_fooled: Bool[np.ndarray, " clips"]
    """True for those of them that the victim has wrong once attacked."""

    @property
    def rate(self) -> float:
        """Share of the clips that count."""
        return float(self.is_fooled.sum() / self.counts.sum())


class _Summary:
    """The outcomes of one measurement with the draws that all of its intervals are made from."""

    def __init__(self, outcomes: Outcomes, config: TransferConfig, facts: Facts) -> None:
        self.config, self.facts = config, facts
        self.rows = dict(outcomes.cells())
        self.surrogates = {each.name: each for each in config.surrogates}
        crafted = {(each.attack, each.surrogate) for each in facts.craftings}
        self.places = [
            (attack, surrogate.name, victim)
            for attack in config.named_attacks
            for surrogate in self.surrogates.values()
            if (attack, surrogate.name) in crafted
            for victim in surrogate.victims
        ]
        self._check_rows()
        self.tried = {place: Tried(self.rows[place].counts, self.rows[place].is_fooled) for place in self.places}

    def _check_rows(self) -> None:
        if not self.places:
            raise DataError("no attack was crafted on any surrogate")
        expected, found = set(self.places), set(self.rows)
        for place in sorted(expected ^ found):
            attack, surrogate, victim = place
            what = "no outcomes" if place in expected else "outcomes that the settings do not ask for"
            raise DataError(f"{what} of {attack} from {surrogate} on {victim}")
        clips = self.rows[self.places[0]].table.select(["key", "label"])
        for attack, surrogate, victim in self.places:
            if not self.rows[attack, surrogate, victim].table.select(["key", "label"]).equals(clips):
                raise DataError(f"outcomes of {attack} from {surrogate} on {victim} cover other clips than the first")

    @cached_property
    def resampling(self) -> Resampling:
        """The draws of clips."""
        config = self.config
        return Resampling.draw(self.num_clips, num_draws=config.num_resamples, seed=config.seed)

    @property
    def num_clips(self) -> int:
        """Clips that were measured."""
        return int(self.rows[self.places[0]].table.num_rows)

    def report(self) -> TransferReport:
        """Put the parts together."""
        return TransferReport(
            means=tuple(self.means()),
            cells=tuple(self.cell(place) for place in self.places),
            models=tuple(self.model(each.name) for each in self.facts.models),
            surrogates=tuple(self.surrogates.values()),
            attacks=tuple(dict.fromkeys(attack for attack, _, _ in self.places)),
            baseline=self.config.baseline_name,
            num_clips=self.num_clips,
            facts=self.facts,
            config=self.config,
        )

    def model(self, name: str) -> ModelResult:
        """The accuracy of a model, from the rows in which it is the victim or a surrogate by itself."""
        for column, part in (("victim_right", 2), ("surrogate_right", 1)):
            if place := next((each for each in self.places if each[part] == name), None):
                is_right = self.rows[place].truths(column)
                interval = self.resampling.share(is_right)
                return ModelResult(name=name, accuracy=float(is_right.mean()), accuracy_interval=interval)
        return ModelResult(name=name, accuracy=None, accuracy_interval=None)

    def cell(self, place: tuple[str, str, str]) -> Cell:
        """One attack, one surrogate, one victim."""
        attack, surrogate, victim = place
        tried, other = self.tried[place], self.baseline_of(place)
        has_clips = bool(tried.counts.any())
        difference, interval = None, None
        if other and has_clips:
            difference = tried.rate - other.rate
            interval = self.resampling.difference_among(tried.is_fooled, other.is_fooled, tried.counts)
        return Cell(
            attack=attack,
            surrogate=surrogate,
            victim=victim,
            is_white_box=self.surrogates[surrogate].is_white_box(victim),
            num_clips=int(tried.counts.sum()),
            num_fooled=int(tried.is_fooled.sum()),
            success_rate=tried.rate if has_clips else None,
            success_rate_interval=self.resampling.share_among(tried.is_fooled, tried.counts),
            difference=difference,
            difference_interval=interval,
        )

    def baseline_of(self, place: tuple[str, str, str]) -> Tried | None:
        """The baseline attack on the same surrogate and victim; None for itself, and where it was left out."""
        attack, surrogate, victim = place
        baseline = self.config.baseline_name
        return None if attack == baseline else self.tried.get((baseline, surrogate, victim))

    def means(self) -> Iterator[Mean]:
        """The means over each group, attack after attack."""
        for group in GROUPS:
            attacks, pairs = self.shared_cells(group)
            for attack in attacks if pairs else ():
                yield self.mean(attack, group, [(attack, *pair) for pair in pairs])

    def shared_cells(self, group: Group) -> tuple[list[str], list[tuple[str, str]]]:
        """The attacks crafted in a group, and the (surrogate, victim) that all of them have, if clips count there.

        Which clips count does not depend on the attack. An attack that was left out on a surrogate takes its cells away
        from all: means over other cells would not compare.
        """
        places = [place for place in self.places if group_of(self.surrogates[place[1]], place[2]) == group]
        pairs = {attack: [place[1:] for place in places if place[0] == attack] for attack, _, _ in places}
        shared = set.intersection(*map(set, pairs.values())) if pairs else set()
        first = next(iter(pairs), "")
        return list(pairs), [
            pair for pair in pairs.get(first, ()) if pair in shared and self.tried[(first, *pair)].counts.any()
        ]

    def mean(self, attack: str, group: Group, places: Sequence[tuple[str, str, str]]) -> Mean:
        """One attack over the cells at these places."""
        cells = [self.tried[place] for place in places]
        others = [other for place in places if (other := self.baseline_of(place))]
        difference, interval = None, None
        if others:
            difference = float(np.mean([one.rate - other.rate for one, other in zip(cells, others, strict=True)]))
            interval = mean_difference_interval(cells, others, self.resampling)
        return Mean(
            attack=attack,
            group=group,
            num_cells=len(cells),
            success_rate=float(np.mean([cell.rate for cell in cells])),
            success_rate_interval=mean_interval(cells, self.resampling),
            difference=difference,
            difference_interval=interval,
        )


def group_of(surrogate: Surrogate, victim: str) -> Group:
    """The group of a cell."""
    return "white_box" if surrogate.is_white_box(victim) else surrogate.kind


def mean_interval(cells: Sequence[Tried], resampling: Resampling) -> Interval:
    """Interval of the mean success rate over cells, all of them over the same draws of clips.

    Where no clip is fooled in any cell, or all are, every draw says so, too; there the exact binomial interval is
    given, over the clips that count in any cell.
    """
    fooled, counts = sum(cell.is_fooled.sum() for cell in cells), sum(cell.counts.sum() for cell in cells)
    if fooled in (0, counts):
        num_clips = _num_in_any(cells)
        return exact_interval(num_clips if fooled else 0, num_clips)
    return percentiles(_mean_of_draws([(cell.is_fooled, cell.counts) for cell in cells], resampling))


def mean_difference_interval(cells: Sequence[Tried], others: Sequence[Tried], resampling: Resampling) -> Interval:
    """Interval of the mean difference of two attacks over cells: the same clips, surrogates and victims for both.

    Where they differ on no clip of any cell, or everywhere to the same side, draws would claim certainty; there the
    exact binomial bound is given, over the clips that count in any cell.
    """
    paired = [
        (one.is_fooled.astype(np.float64) - other.is_fooled, one.counts)
        for one, other in zip(cells, others, strict=True)
    ]
    differences = np.concatenate([values[counts] for values, counts in paired])
    if np.ptp(differences):
        return percentiles(_mean_of_draws(paired, resampling))
    num_clips = _num_in_any(cells)
    _, most = exact_interval(0, num_clips)
    side = float(differences[0])
    return (max(-1.0, side - most), min(1.0, side + most))


def _mean_of_draws(
    cells: Sequence[tuple[np.ndarray, Bool[np.ndarray, " clips"]]], resampling: Resampling
) -> Float[np.ndarray, " draws"]:
    """For each draw of clips, the mean over cells of the share of their clips that count.

    A cell none of whose clips was drawn says nothing in that draw; a draw in which no cell says anything is left out.
    """
    total, known = np.zeros(len(resampling.weights)), np.zeros(len(resampling.weights))
    for values, counts in cells:
        drawn = resampling.weights @ counts
        sums = resampling.weights @ values
        total += np.divide(sums, drawn, out=np.zeros_like(sums), where=drawn > 0)
        known += drawn > 0
    return total[known > 0] / known[known > 0]


def _num_in_any(cells: Sequence[Tried]) -> int:
    """Clips that count in any of the cells."""
    return int(np.logical_or.reduce([cell.counts for cell in cells]).sum())
