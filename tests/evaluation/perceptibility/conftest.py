"""Two finished evaluations of a tiny model on real clips: a threat to log-mel patches, and one to waveforms."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.run import measure
from evaluation.run import evaluate
from tests.evaluation.evaluations import settings, trained_checkpoint
from training.threat import ThreatModel

LOGMEL = "linf(video=32/255, audio=32/255)"
WAVEFORM = "linf(video=32/255, waveform=0.05)"


@pytest.fixture(scope="session")
def checkpoint(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_checkpoint(tiny_dataset, tmp_path_factory.mktemp("model") / "checkpoint")


def evaluated(checkpoint: Path, data: Path, output: Path, threat: str, **changes: object) -> Path:
    """An evaluation of the 24 training clips that stores the perturbations of 6 of them."""
    few = {"threat": ThreatModel.model_validate(threat), "stored_perturbations": 6, "curve": (1.0,), "workers": 1}
    evaluate(settings(checkpoint, data, output, **few | changes))
    return output


@pytest.fixture(scope="session")
def logmel_evaluation(checkpoint: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluated(checkpoint, tiny_dataset, tmp_path_factory.mktemp("logmel") / "report", LOGMEL)


@pytest.fixture(scope="session")
def waveform_evaluation(checkpoint: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluated(checkpoint, tiny_dataset, tmp_path_factory.mktemp("waveform") / "report", WAVEFORM)


@pytest.fixture(scope="session")
def logmel_look(logmel_evaluation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished look at the evaluation under a threat to log-mel patches."""
    return looked_at(logmel_evaluation, tmp_path_factory.mktemp("looked") / "logmel")


@pytest.fixture(scope="session")
def waveform_look(waveform_evaluation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same under a threat to waveforms."""
    return looked_at(waveform_evaluation, tmp_path_factory.mktemp("looked") / "waveform")


def looked_at(evaluation: Path, output: Path) -> Path:
    measure(PerceptibilityConfig(evaluation=str(evaluation), output=str(output), clips=2, num_resamples=200))
    return output
