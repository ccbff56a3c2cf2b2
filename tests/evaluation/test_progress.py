from __future__ import annotations

import logging

import pytest

from evaluation.config import EvaluateConfig
from evaluation.measurement import Measurement, measure_all
from evaluation.progress import EvaluationProgress, work
from training.attacks import FGSM, PGD
from training.batch import Batch
from training.models import Classifier


def test_a_finished_attack_tells_its_robust_accuracy(
    model: Classifier, few_clips: Batch, config: EvaluateConfig, caplog: pytest.LogCaptureFixture
) -> None:
    measurements = (Measurement(FGSM(), config.threat), Measurement(PGD(steps=2), config.threat))
    progress = EvaluationProgress(measurements, num_clips=15)
    pieces = list(measure_all(model, [few_clips], measurements, seed=0, model_sha256="ab"))
    robust = sum(row.label == row.clean_prediction == row.perturbed_prediction for row in pieces[0].rows)
    with caplog.at_level(logging.INFO, logger="evaluation"):
        for piece in pieces:
            progress.add(piece)
    first, second = (record.getMessage() for record in caplog.records)
    expected = f"fgsm linf(video=7/255, audio=7/255): 15/15 clips, robust accuracy {robust / 15:.3f}, "
    assert first.startswith(expected)
    assert second.endswith(", 0 s left")


def test_work_is_counted_in_forward_passes(config: EvaluateConfig) -> None:
    """A backward pass is two forward passes: 3 for FGSM and 6 for two steps."""
    assert work(Measurement(FGSM(), config.threat)) == 3
    assert work(Measurement(PGD(steps=2), config.threat)) == 6


def test_the_start_of_the_workers_does_not_count(
    model: Classifier, few_clips: Batch, config: EvaluateConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """The first batch arrives after workers have loaded everything: its passes and its wait say nothing about speed."""
    measurements = (Measurement(FGSM(), config.threat), Measurement(PGD(steps=2), config.threat))
    progress = EvaluationProgress(measurements, num_clips=15)
    pieces = list(measure_all(model, [few_clips], measurements, seed=0, model_sha256="ab"))
    with caplog.at_level(logging.INFO, logger="evaluation"):
        progress.add(pieces[0])
        progress.add(pieces[1])
    assert caplog.records[0].getMessage().endswith(", unknown time left")
    assert caplog.records[1].getMessage().endswith(", 0 s left")
