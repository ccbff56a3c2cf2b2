"""From certificates to a report: every number is computed here, and again by `verify`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from evaluation.config import EvaluateConfig
from evaluation.intervals import Resampling
from evaluation.masking.check import AttackOutcome, Check
from evaluation.masking.checks import comparing_nothing, run_checks
from evaluation.planning.plan import (
    Measurement,
    attempts_of,
    baseline,
    inside,
    listed,
    modality_threats,
    reference,
)
from evaluation.reporting.classes import class_results, confusions
from evaluation.reporting.report import Report
from evaluation.reporting.results import AttackResult, Confusion, CurvePoint, Facts, ModalityResult
from evaluation.stored.certificates import Certificates
from preprocessing.errors import DataError
from training.threat import ThreatModel


def summarise(certificates: Certificates, *, config: EvaluateConfig, facts: Facts) -> Report:
    """Compute every number of a report.

    Raises:
        DataError: if a measurement that the config asks for has no certificates, or not one for each clip.
    """
    return _Summary(certificates, config, facts).report()


class _Summary:
    """The certificates of one evaluation with the draws that all of its intervals are made from."""

    def __init__(self, certificates: Certificates, config: EvaluateConfig, facts: Facts) -> None:
        self.certificates = certificates
        self.config = config
        self.facts = facts
        self._rows: dict[tuple[str, str], Certificates] = {}
        self.clips = certificates.select(listed(config)[0].label, str(config.threat))
        self.resampling = Resampling.draw(self.clips.table.num_rows, num_draws=config.num_resamples, seed=config.seed)

    def report(self) -> Report:
        """Put the parts together."""
        config = self.config
        attacks = listed(config)
        survivors = [self.outcome(attack) for attack in attacks]
        unbounded = reference(config, ThreatModel.model_validate(self.facts.unbounded_threat))
        points = {factor: config.threat.scaled(factor) for factor in config.curve}
        checks = run_checks(
            self.clips,
            attacks=survivors,
            curve=[self.outcome(reference(config, threat)) for threat in points.values()],
            unbounded=self.outcome(unbounded),
            noise=None if self.clips.version < 4 else self.outcome(baseline(unbounded.threat)),
            attacked=[name for name in ("video", "audio") if getattr(config.threat, name) > 0],
            limits=config.checks,
            eot_samples=config.eot_samples,
        )
        if config.threat.moments == "other":
            checks = comparing_nothing(checks)
        is_right = self.clips.is_right_when_clean
        worst_case = self.withstands(self.behind_headline)
        return Report(
            clean_accuracy=float(is_right.mean()),
            clean_accuracy_interval=self.resampling.share(is_right),
            **self.headline(worst_case, checks),
            threat=str(config.threat),
            attacks=tuple(AttackResult(**self.result(attack)) for attack in attacks),
            modalities=tuple(
                ModalityResult(perturbed=name, **self.point(threat))
                for name, threat in modality_threats(config.threat).items()
            ),
            curve=tuple(CurvePoint(factor=factor, **self.point(threat)) for factor, threat in points.items()),
            unbounded=AttackResult(**self.result(unbounded)),
            classes=class_results(self.clips, worst_case, self.facts.class_names),
            confusions=self.confusions(),
            checks=checks,
            num_clips=len(is_right),
            config=config,
            **self.facts.model_dump(exclude={"unbounded_threat"}),
        )

    @property
    def behind_headline(self) -> tuple[Measurement, ...]:
        """The measurements that the headline number is the worst case of; before format version 5 those of the list."""
        if self.clips.version < 5:
            return listed(self.config)
        return inside(attempts_of(self.config), self.config.threat)

    def behind(self, threat: ThreatModel) -> tuple[Measurement, ...]:
        """Those behind a point of the curve or a single modality; before format version 5 the reference attack."""
        if self.clips.version < 5:
            return (reference(self.config, threat),)
        return inside(attempts_of(self.config), threat)

    def withstands(self, measurements: Sequence[Measurement]) -> Bool[np.ndarray, " clips"]:
        """True where a clip withstands all of them."""
        return np.asarray(np.logical_and.reduce([self.rows(measurement).is_robust for measurement in measurements]))

    def point(self, threat: ThreatModel) -> dict[str, Any]:
        """The numbers of the reference attack under a threat model, and of the worst case there."""
        measurements = self.behind(threat)
        worst_case = self.withstands(measurements)
        return {
            **self.result(reference(self.config, threat)),
            "worst_case_robust_accuracy": float(worst_case.mean()),
            "worst_case_robust_accuracy_interval": self.resampling.share(worst_case),
            "worst_case_of": tuple(dict.fromkeys(measurement.label for measurement in measurements)),
        }

    def confusions(self) -> tuple[Confusion, ...]:
        """The commonest mistakes under the attacks of the list; none before format version 5, which did not tell."""
        if self.clips.version < 5:
            return ()
        return confusions([self.rows(attack) for attack in listed(self.config)], self.facts.class_names)

    def rows(self, measurement: Measurement) -> Certificates:
        """The certificates of one measurement, one per clip."""
        if measurement.pair in self._rows:
            return self._rows[measurement.pair]
        found = self.certificates.select(*measurement.pair)
        num_found, num_clips = found.table.num_rows, self.clips.table.num_rows
        if num_found != num_clips:
            raise DataError(
                f"there are {num_found} certificates of attack '{measurement.label}' under {measurement.threat}; "
                f"allowed: {num_clips}, one for each clip, as of attack '{listed(self.config)[0].label}'"
            )
        self._rows[measurement.pair] = found
        return found

    def outcome(self, measurement: Measurement) -> AttackOutcome:
        """The clips that withstood one measurement."""
        return AttackOutcome(
            label=measurement.label,
            threat=str(measurement.threat),
            backward_passes=measurement.attack.cost.backward,
            is_robust=self.rows(measurement).is_robust,
            is_transferred=measurement.surrogate is not None,
        )

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

    def result(self, measurement: Measurement) -> dict[str, Any]:
        """The numbers of one measurement."""
        rows = self.rows(measurement)
        is_right, is_robust = rows.is_right_when_clean, rows.is_robust
        cost, attacked = measurement.cost, rows.attacked
        return {
            "name": measurement.label,
            "threat": str(measurement.threat),
            "robust_accuracy": float(is_robust.mean()),
            "robust_accuracy_interval": self.resampling.share(is_robust),
            "attack_success_rate": float((~is_robust)[is_right].mean()) if is_right.any() else None,
            "attack_success_rate_interval": self.resampling.share_among(~is_robust, is_right),
            "num_left_out": int(rows.is_left_out.sum()),
            "forward_passes": cost.forward,
            "backward_passes": cost.backward,
            "unusable_gradients": _mean(attacked.numbers("unusable_gradients")),
            "linf_video": float(rows.numbers("linf_video").max()),
            "linf_audio": float(rows.numbers("linf_audio").max()),
            "l2_video": _mean(attacked.numbers("l2_video")),
            "l2_audio": _mean(attacked.numbers("l2_audio")),
            "psnr_video_db": _mean_of_known(rows.numbers("psnr_video_db")),
            "snr_audio_db": _mean_of_known(rows.numbers("snr_audio_db")),
        }


def _mean(values: Float[np.ndarray, " rows"]) -> float:
    """The mean; 0 of nothing."""
    return float(values.mean()) if values.size else 0.0


def _mean_of_known(values: Float[np.ndarray, " rows"]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
