from __future__ import annotations

import logging

import pytest

from evaluation.config import EvaluateConfig
from evaluation.planning.plan import Measurement
from evaluation.planning.progress import EvaluationProgress
from evaluation.tasks.measurement import measure_all
from training.attacks import FGSM, PGD
from training.batch import Batch
from training.models import Classifier


def test_a_finished_attack_tells_its_robust_accuracy(
    model: Classifier, few_clips: Batch, config: EvaluateConfig, caplog: pytest.LogCaptureFixture
) -> None:
    measurements = (Measurement(FGSM(), config.threat), Measurement(PGD(steps=2), config.threat))
    progress = EvaluationProgress(measurements, num_clips=15)
    pieces = list(measure_all(model, [few_clips], measurements, seed=0, model_sha256="ab"))
    robust = int(pieces[0].certificates.is_robust.sum())
    with caplog.at_level(logging.INFO, logger="evaluation"):
        for piece in pieces:
            progress.add(piece)
    first, second = (record.getMessage() for record in caplog.records)
    expected = f"fgsm linf(video=7/255, audio=7/255): 15/15 clips, robust accuracy {robust / 15:.3f}, "
    assert first.startswith(expected)
    assert second.endswith(", 0 s left")


def test_kept_pieces_count_and_say_nothing_about_the_speed(
    model: Classifier, few_clips: Batch, config: EvaluateConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of three measurements are kept: the line of the third has nothing left."""
    measurements = tuple(Measurement(PGD(steps=steps), config.threat) for steps in (1, 2, 3))
    progress = EvaluationProgress(measurements, num_clips=15)
    first, second, third = measure_all(model, [few_clips], measurements, seed=0, model_sha256="ab")
    with caplog.at_level(logging.INFO, logger="evaluation"):
        progress.keep(first)
        progress.keep(second)
        progress.add(third)
    (line,) = (record.getMessage() for record in caplog.records)
    assert "pgd-3" in line
    assert line.endswith(", 0 s left")


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
