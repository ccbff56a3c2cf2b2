"""What earlier versions have stored still opens, verifies, evaluates, and resumes to its end."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.config import EvaluateConfig
from evaluation.reporting.report import FORMAT_VERSION, REPORT_NAME, Report
from evaluation.run import evaluate
from evaluation.run import verify as verify_report
from evaluation.stored.certificates import CERTIFICATES_NAME
from preprocessing.errors import SettingsError
from preprocessing.run import verify as verify_dataset
from preprocessing.storage.provenance import project_version
from preprocessing.storage.records import load_index
from training.checkpoint import CHECKPOINT_VERSION, load_info, load_model
from training.config import TrainConfig
from training.data import evaluation_batches
from training.retired_settings import without_retired
from training.run import train
from training.run_folder import RunFolder

ARCHIVE = Path(__file__).parent / "data" / "format_1" / "files.tar.xz"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the archive; nothing may change them."""
    folder = tmp_path_factory.mktemp("format_1")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def interrupted(stored: Path, tmp_path: Path) -> Path:
    """A copy of the interrupted training, with the checkpoint that the archive leaves out."""
    folder = shutil.copytree(stored / "interrupted", tmp_path / "interrupted")
    shutil.copytree(folder / "epochs" / "000001", folder / "checkpoint")
    return folder


def settings(stored: Path, output: Path) -> TrainConfig:
    """The stored settings of the training, with other places."""
    found: dict[str, Any] = yaml.safe_load((output / "epochs" / "000001" / "config.yaml").read_text())
    kept = without_retired(found, where="the training")
    return TrainConfig.model_validate(kept | {"data": str(stored / "dataset"), "output": str(output)})


def test_the_data_set_opens_and_verifies(stored: Path, ray_session: None) -> None:
    index = load_index(str(stored / "dataset"))
    assert index.num_clips == {"train": 8, "validation": 4, "test": 4}
    assert verify_dataset(str(stored / "dataset")) == []
    (batch,) = evaluation_batches(str(stored / "dataset"), "test", batch_size=8)
    assert batch.video.shape == (4, 2, 3, 16, 16)


def test_the_checkpoint_opens_and_says_what_it_was_trained_by(stored: Path) -> None:
    model, info = load_model(stored / "interrupted" / "epochs" / "000001")
    assert info == load_info(stored / "interrupted" / "epochs" / "000001")
    assert info.format_version == CHECKPOINT_VERSION
    assert (info.epoch, info.objective, info.provenance) == (1, "tma_curriculum", None)
    assert not model.training


def test_the_report_opens_and_verifies(stored: Path) -> None:
    report = Report.read(stored / "report")
    assert report.format_version == FORMAT_VERSION
    assert (report.objective, report.trained_with, report.provenance) == (None, None, None)
    assert [attack.name for attack in report.attacks] == ["fgsm", "pgd-2"]
    assert verify_report(stored / "report") == []


def test_a_changed_number_of_the_report_is_found(stored: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(stored / "report", tmp_path / "report")
    record = json.loads((folder / REPORT_NAME).read_text())
    record["attacks"][1]["robust_accuracy"] = 0.123
    (folder / REPORT_NAME).write_text(json.dumps(record))
    (problem,) = verify_report(folder)
    assert problem.startswith("attacks[1].robust_accuracy: the report says 0.123, the certificates give ")


def test_a_new_report_of_the_checkpoint_has_the_same_numbers(
    stored: Path, interrupted: Path, tmp_path: Path, ray_session: None
) -> None:
    before = Report.read(stored / "report")
    places = {
        "checkpoint": str(interrupted / "checkpoint"),
        "data": str(stored / "dataset"),
        "output": str(tmp_path / "report"),
    }
    report = evaluate(EvaluateConfig.model_validate(before.config.model_dump() | places))
    assert report.model_sha256 == before.model_sha256
    assert report.clean_accuracy == before.clean_accuracy
    for now, then in zip(report.attacks, before.attacks, strict=True):
        assert now.robust_accuracy == pytest.approx(then.robust_accuracy, abs=0.25)
        assert now.l2_video == pytest.approx(then.l2_video, rel=0.05)
    assert report.objective == "tma_curriculum"
    assert report.trained_with is None
    assert report.provenance is not None
    assert report.provenance.version == project_version()
    assert verify_report(tmp_path / "report") == []
    assert "trained by</dt><dd>tma_curriculum, version and machine not recorded" in (
        tmp_path / "report" / "report.html"
    ).read_text(encoding="utf-8")
    assert (tmp_path / "report" / CERTIFICATES_NAME).exists()


@pytest.mark.slow
def test_the_training_resumes_and_ends_as_the_earlier_version_would_have_ended_it(
    stored: Path, interrupted: Path, ray_session: None
) -> None:
    result = train(settings(stored, interrupted))
    expected = json.loads((stored / "interrupted_ended.json").read_text())["history"]
    assert (result.resumed_from, result.resumed_step) == (1, 1)
    assert result.history[0] == expected[0] | {
        key: value for key, value in result.history[0].items() if key.startswith("time/")
    }
    for name in ("train/loss", "train/gradient_norm", "validation/clean_accuracy", "curriculum/attack_steps"):
        assert result.history[1][name] == pytest.approx(expected[1][name], rel=0.01), name
    info = load_info(result.checkpoint)
    assert info.objective == "tma_curriculum"
    assert info.provenance is not None


def test_a_training_with_a_setting_that_is_gone_is_refused_by_its_name(stored: Path, interrupted: Path) -> None:
    now = settings(stored, interrupted).fingerprint()
    folder = RunFolder(interrupted)
    folder.settings.write_text(folder.settings.read_text().replace("warm_start: false", "warm_start: true"))
    with pytest.raises(SettingsError, match=r"begun with objective\.crafting\.warm_start=True, which this version no"):
        folder.claim(now)
