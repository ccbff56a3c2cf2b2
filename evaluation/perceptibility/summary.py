"""From rows to a report: every number is computed here, and again by `verify`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from evaluation.intervals import Resampling, percentiles
from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.report import (
    AttackPerceptibility,
    Distribution,
    Estimate,
    Facts,
    PerceptibilityReport,
    StorageResult,
    Survival,
)
from evaluation.perceptibility.rows import MEASURES, Rows
from preprocessing.errors import DataError


def summarise(rows: Rows, *, config: PerceptibilityConfig, facts: Facts) -> PerceptibilityReport:
    """Compute every number of a report.

    Raises:
        DataError: if there are no rows, or one lacks a storage.
    """
    if not rows.table.num_rows:
        raise DataError("there are no rows: nothing is known of any clip")
    return _Summary(rows, config, facts).report()


class _Summary:
    """The rows with the draws that all of their intervals are made from."""

    def __init__(self, rows: Rows, config: PerceptibilityConfig, facts: Facts) -> None:
        self.rows, self.config, self.facts = rows, config, facts
        self.places = {key: place for place, key in enumerate(rows.keys)}
        self.resampling = Resampling.draw(len(self.places), num_draws=config.num_resamples, seed=config.seed)

    def report(self) -> PerceptibilityReport:
        """Put the parts together."""
        clips = self.rows.clips
        is_right = clips.numbers("clean_prediction") == clips.numbers("label")
        return PerceptibilityReport(
            num_clips=len(self.places),
            clean_accuracy=float(is_right.mean()),
            clean_accuracy_interval=self.resampling.share(is_right),
            attacks=tuple(self.attack(name) for name in self.rows.attacks),
            storages=tuple(self.storage(name, title) for name, title in self.facts.storage_titles.items()),
            facts=self.facts,
            config=self.config,
        )

    def storage(self, name: str, title: str) -> StorageResult:
        """The untouched clips after one storage."""
        clips = self.rows.clips
        is_right = clips.predictions("clean_stored_predictions", name) == clips.numbers("label")
        return StorageResult(
            name=name,
            title=title,
            clean_accuracy=float(is_right.mean()),
            clean_accuracy_interval=self.resampling.share(is_right),
        )

    def attack(self, name: str) -> AttackPerceptibility:
        """The clips of one attack."""
        rows = self.rows.under(name)
        labels = rows.numbers("label")
        is_fooled = (rows.numbers("clean_prediction") == labels) & (rows.numbers("perturbed_prediction") != labels)
        return AttackPerceptibility(
            name=name,
            num_clips=rows.table.num_rows,
            num_fooled=int(is_fooled.sum()),
            storages=tuple(self.survival(rows, is_fooled, storage) for storage in self.facts.storage_titles),
            **{measure: self.distribution(self.spread(rows, rows.numbers(measure))) for measure in MEASURES},
        )

    def survival(self, rows: Rows, is_fooled: Bool[np.ndarray, " rows"], storage: str) -> Survival:
        """The share of the fooling clips that one storage leaves fooling."""
        is_wrong = rows.predictions("stored_predictions", storage) != rows.numbers("label")
        chosen = self.spread(rows, is_fooled.astype(np.float64)) == 1.0
        still = self.spread(rows, (is_fooled & is_wrong).astype(np.float64)) == 1.0
        return Survival(
            storage=storage,
            still_fooled=float(is_wrong[is_fooled].mean()) if is_fooled.any() else None,
            still_fooled_interval=self.resampling.share_among(still, chosen),
        )

    def spread(self, rows: Rows, values: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " clips"]:
        """The values of an attack's rows at the places of their clips; NaN for clips that it has no row of."""
        found = np.full(len(self.places), np.nan)
        found[[self.places[key] for key in rows.table["key"].to_pylist()]] = values
        return found

    def distribution(self, values: Float[np.ndarray, " clips"]) -> Distribution | None:
        """Mean and percentiles of the known values, with their intervals; None if none is known."""
        is_known = ~np.isnan(values)
        if not is_known.any():
            return None
        order = np.argsort(values[is_known], kind="stable")
        ordered, weights = values[is_known][order], self.resampling.weights[:, is_known][:, order]
        once = np.ones((1, len(ordered)))

        def estimate(share: float | None) -> Estimate:
            drawn = statistic(ordered, weights[weights.any(1)], share)
            [value] = statistic(ordered, once, share)
            return Estimate(value=float(value), interval=percentiles(drawn) if len(ordered) > 1 else None)

        return Distribution(
            num_clips=len(ordered),
            mean=estimate(None),
            percentile_5=estimate(0.05),
            percentile_50=estimate(0.5),
            percentile_95=estimate(0.95),
        )


def statistic(
    ordered: Float[np.ndarray, " values"], weights: Float[np.ndarray, "draws values"], share: float | None
) -> Float[np.ndarray, " draws"]:
    """The mean of rising values in each draw, or the value at or below which a share of the draw lies.

    The percentile is the inverse of the distribution function (definition 1 of Hyndman and Fan 1996, "Sample quantiles
    in statistical packages", The American Statistician 50(4)), so it is always the value of a clip.

    Args:
        ordered: the values.
        weights: how often each was drawn; no draw is empty.
        share: None = the mean.
    """
    totals = weights.sum(1)
    if share is None:
        return np.asarray(weights @ ordered / totals)
    reached = (
        weights.cumsum(1) >= share * totals[:, np.newaxis] - 1e-9
    )  # a count, rounded in its product with the share
    return np.asarray(ordered[reached.argmax(1)])
