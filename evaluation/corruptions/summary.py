"""From predictions to a report: every number is computed here, and again by `verify`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from evaluation.corruptions.config import CorruptionsConfig, Perturbed
from evaluation.corruptions.kinds.base import Severity
from evaluation.corruptions.kinds.listing import CO_OCCURRING, CORRUPTIONS, GROUPS, CorruptionName
from evaluation.corruptions.measurement import conditions_of
from evaluation.corruptions.predictions import Predictions
from evaluation.corruptions.report import (
    CorruptionReport,
    CorruptionResult,
    Facts,
    GroupResult,
    Reference,
    Score,
    SeverityResult,
    Strength,
)
from evaluation.intervals import Interval, Resampling, exact_interval, percentiles
from preprocessing.errors import DataError

Errors = Float[np.ndarray, "corruptions clips"]
"""Share of the severities at which each clip is misclassified."""
Conditions = dict[tuple[CorruptionName, Severity], Predictions]
"""The rows of each corruption and severity."""


def summarise(
    predictions: Predictions,
    *,
    reference: tuple[Reference, Predictions] | None,
    config: CorruptionsConfig,
    facts: Facts,
) -> CorruptionReport:
    """Compute every number of a report.

    Raises:
        DataError: if predictions are missing, or do not cover the same clips everywhere.
    """
    return _Summary(predictions, reference, config, facts).report()


class _Summary:
    """The predictions of one measurement with the draws that all of its intervals are made from."""

    def __init__(
        self,
        predictions: Predictions,
        reference: tuple[Reference, Predictions] | None,
        config: CorruptionsConfig,
        facts: Facts,
    ) -> None:
        self.config, self.facts = config, facts
        self.conditions: Conditions = {
            (each.corruption, each.severity): predictions.select(each.corruption, each.severity)
            for each in conditions_of(config)
        }
        self.reference = reference[0] if reference else None
        others = {pair: reference[1].select(*pair) for pair in self.conditions} if reference else {}
        self.reference_conditions: Conditions = others
        clips = predictions.clips
        for pair, rows in [*self.conditions.items(), *self.reference_conditions.items()]:
            if not rows.table["key"].equals(clips["key"]):
                raise DataError(f"predictions under {pair[0]} at severity {pair[1]} cover other clips than the first")
        self.is_right_when_clean = next(iter(self.conditions.values())).is_right_when_clean
        self.resampling = Resampling.draw(clips.num_rows, num_draws=config.num_resamples, seed=config.seed)

    def report(self) -> CorruptionReport:
        """Put the parts together."""
        return CorruptionReport(
            clean_accuracy=float(self.is_right_when_clean.mean()),
            clean_accuracy_interval=self.resampling.share(self.is_right_when_clean),
            groups=tuple(group for perturbed in self.config.perturbed for group in self.groups(perturbed)),
            corruptions=tuple(
                self.corruption(name, perturbed)
                for perturbed in self.config.perturbed
                for name in self.config.corruptions
            ),
            strengths=tuple(self.strengths()),
            reference=self.reference,
            num_clips=len(self.is_right_when_clean),
            facts=self.facts,
            config=self.config,
        )

    def groups(self, perturbed: Perturbed) -> list[GroupResult]:
        """The means over all corruptions that are no masking, and over each group."""
        names = self.config.corruptions
        members = {group: [name for name in names if CORRUPTIONS[name].group == group] for group in GROUPS}
        everything = [name for group in CO_OCCURRING for name in members[group]]
        return [
            GroupResult(
                group=group, perturbed=perturbed, num_corruptions=len(chosen), score=self.score(chosen, perturbed)
            )
            for group, chosen in (("all", everything), *members.items())
            if chosen
        ]

    def corruption(self, name: CorruptionName, perturbed: Perturbed) -> CorruptionResult:
        """One corruption, severity by severity."""
        outcomes = {
            severity: self.conditions[name, severity].is_right(perturbed) for severity in self.config.severities
        }
        return CorruptionResult(
            name=name,
            group=CORRUPTIONS[name].group,
            perturbed=perturbed,
            severities=tuple(
                SeverityResult(
                    severity=severity,
                    accuracy=float(is_right.mean()),
                    accuracy_interval=self.resampling.share(is_right),
                )
                for severity, is_right in outcomes.items()
            ),
            score=self.score([name], perturbed),
        )

    def score(self, names: Sequence[CorruptionName], perturbed: Perturbed) -> Score:
        """The means over severities and corruptions."""
        errors = self.errors(self.conditions, names, perturbed)
        relative: tuple[float, Interval] | None = None
        if self.reference:
            others = self.errors(self.reference_conditions, names, perturbed)
            relative = relative_error(errors, others, self.resampling)
        return Score(
            accuracy=float(1.0 - errors.mean()),
            accuracy_interval=mean_interval(1.0 - errors.mean(0), self.resampling),
            corruption_error=relative[0] if relative else None,
            corruption_error_interval=relative[1] if relative else None,
        )

    def errors(self, conditions: Conditions, names: Sequence[CorruptionName], perturbed: Perturbed) -> Errors:
        """The share of the severities at which each clip is misclassified, under each corruption."""
        return np.stack(
            [
                np.mean([~conditions[name, each].is_right(perturbed) for each in self.config.severities], axis=0)
                for name in names
            ]
        )

    def strengths(self) -> list[Strength]:
        """The size of every corruption."""
        return [
            Strength(
                name=name,
                severity=severity,
                psnr_video_db=_mean_of_known(rows.numbers("psnr_video_db")),
                snr_audio_db=_mean_of_known(rows.numbers("snr_audio_db")),
            )
            for (name, severity), rows in self.conditions.items()
        ]


def relative_error(errors: Errors, reference: Errors, resampling: Resampling) -> tuple[float, Interval] | None:
    """The mean over corruptions of the error relative to a reference's, with its interval over the same clips.

    None where the reference errs nowhere under a corruption, or in no draw under all: nothing is relative to that.
    """
    if not reference.any(1).all():
        return None
    drawn, drawn_reference = errors @ resampling.weights.T, reference @ resampling.weights.T
    is_known = (drawn_reference > 0.0).all(0)
    if not is_known.any():
        return None
    ratios = (drawn[:, is_known] / drawn_reference[:, is_known]).mean(0)
    return float((errors.sum(1) / reference.sum(1)).mean()), percentiles(ratios)


def mean_interval(shares: Float[np.ndarray, " clips"], resampling: Resampling) -> Interval:
    """Interval of the mean over clips of a share that each clip has.

    Where all clips are at the same end, the exact binomial interval is given, as for a single share.
    """
    if np.ptp(shares) == 0.0 and shares[0] in (0.0, 1.0):
        return exact_interval(int(shares.sum()), len(shares))
    return percentiles(resampling.weights @ shares / len(shares))


def _mean_of_known(values: Float[np.ndarray, " rows"]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
