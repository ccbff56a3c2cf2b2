"""The whole way on real clips: a trained checkpoint, Ray tasks, the files, and what `verify` says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from evaluation.corruptions.config import CorruptionsConfig
from evaluation.corruptions.page import PAGE_NAME
from evaluation.corruptions.predictions import PREDICTIONS_NAME, Predictions
from evaluation.corruptions.reference import REFERENCE_NAME
from evaluation.corruptions.report import CORRUPTIONS_NAME, CorruptionReport
from evaluation.corruptions.run import PICTURES, measure, verify
from pipeline.settings.load import override
from preprocessing.errors import DataError, PlaceError, SettingsError

FILES = {CORRUPTIONS_NAME, PAGE_NAME, PREDICTIONS_NAME, *PICTURES.values()}


def changed(config: CorruptionsConfig, output: Path, **changes: object) -> CorruptionsConfig:
    return override(config, {"output": str(output), **changes})


@pytest.fixture(scope="module")
def two_workers(
    small_config: CorruptionsConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, CorruptionReport]:
    """Eight clips in batches of up to three, shared by two tasks."""
    output = tmp_path_factory.mktemp("two_workers")
    return output, measure(changed(small_config, output, workers=2))


def test_a_measurement_leaves_its_files_and_verifies(two_workers: tuple[Path, CorruptionReport]) -> None:
    output, report = two_workers
    assert {path.name for path in output.iterdir()} == FILES
    assert CorruptionReport.read(output) == report
    assert verify(output) == []
    assert report.num_clips == 8
    assert report.clean_accuracy > 0.7


@pytest.mark.parametrize("workers", [1, 5])
def test_the_number_of_workers_changes_no_bit(
    workers: int, two_workers: tuple[Path, CorruptionReport], small_config: CorruptionsConfig, tmp_path: Path
) -> None:
    other = measure(changed(small_config, tmp_path, workers=workers))
    assert (tmp_path / PREDICTIONS_NAME).read_bytes() == (two_workers[0] / PREDICTIONS_NAME).read_bytes()
    assert other.model_dump(exclude={"config", "facts"}) == two_workers[1].model_dump(exclude={"config", "facts"})


def test_a_batch_of_another_size_corrupts_the_same(
    two_workers: tuple[Path, CorruptionReport], small_config: CorruptionsConfig, tmp_path: Path
) -> None:
    """Sizes of corruptions are the same to the last bit; sums of a model may round differently."""
    measure(changed(small_config, tmp_path, batch_size=8, workers=1, perturbed=["both"]))
    mine, others = (Predictions.read(folder / PREDICTIONS_NAME) for folder in (tmp_path, two_workers[0]))
    for name in ("key", "psnr_video_db", "snr_audio_db"):
        assert mine.table[name].equals(others.table[name])


def test_a_reference_gives_corruption_errors_and_a_copy_of_its_predictions(
    two_workers: tuple[Path, CorruptionReport], small_config: CorruptionsConfig, tmp_path: Path
) -> None:
    """Relative to itself every model errs as often, where it errs."""
    report = measure(changed(small_config, tmp_path, reference=str(two_workers[0]), perturbed=["both"]))
    assert (tmp_path / REFERENCE_NAME).read_bytes() == (two_workers[0] / PREDICTIONS_NAME).read_bytes()
    errors = [each.score.corruption_error for each in report.corruptions]
    assert any(errors)
    assert all(error is None or error == pytest.approx(1.0) for error in errors)
    assert verify(tmp_path) == []
    (tmp_path / REFERENCE_NAME).write_bytes((tmp_path / REFERENCE_NAME).read_bytes() + b" ")
    assert any(REFERENCE_NAME in problem for problem in verify(tmp_path))


def test_recordings_are_used_and_named(
    two_workers: tuple[Path, CorruptionReport], small_config: CorruptionsConfig, tmp_path: Path
) -> None:
    (tmp_path / "noise" / "rain").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(-9000, 9000, 30_000).astype(np.int16)
    wavfile.write(tmp_path / "noise" / "rain" / "shower.wav", 16_000, noise)
    config = changed(small_config, tmp_path / "report", noise_folder=str(tmp_path / "noise"), corruptions=["rain"])
    report = measure(config)
    assert report.facts.recordings_sha256 is not None
    strength = report.strengths[-1]
    assert strength.snr_audio_db == pytest.approx(0.0, abs=0.1)
    assert "Noises are recordings" in (tmp_path / "report" / PAGE_NAME).read_text()


def test_what_does_not_suit_is_refused_before_anything_is_written(
    two_workers: tuple[Path, CorruptionReport], small_config: CorruptionsConfig, tmp_path: Path
) -> None:
    output = tmp_path / "report"
    measured = str(two_workers[0])
    for changes, error, message in (
        ({"data": str(tmp_path)}, PlaceError, "is not a finished data set"),
        ({"checkpoint": str(tmp_path)}, DataError, "is not a checkpoint"),
        ({"noise_folder": str(tmp_path)}, PlaceError, "has no recording for rain"),
        ({"reference": str(tmp_path)}, PlaceError, "holds no finished measurement"),
        ({"reference": str(output)}, SettingsError, "reference and output are both"),
        ({"reference": measured, "seed": 1}, DataError, "seed: 0 there, 1 here"),
        ({"reference": measured, "limit": 4}, DataError, "num_clips: 8 there, 4 here"),
        ({"reference": measured, "severities": [1, 2]}, DataError, "severities: 2 was not measured there"),
        ({"reference": measured, "corruptions": ["snow"]}, DataError, "corruptions: snow was not measured there"),
        ({"output": "s3://bucket/report"}, PlaceError, "is a URL; it must be a folder"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            measure(override(changed(small_config, output), changes))
        assert isinstance(caught.value, error), changes
    assert not output.exists()
