"""The whole way on real clips: a trained checkpoint, Ray tasks, the three files, and what `verify` says of them."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import pytest

from evaluation.reporting.page import PAGE_NAME
from evaluation.reporting.report import REPORT_NAME, Report
from evaluation.run import evaluate, verify
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates
from evaluation.stored.perturbations import PERTURBATIONS_NAME
from preprocessing.schema import ClipFormat
from preprocessing.storage.records import load_index
from tests.evaluation.evaluations import settings, trained_checkpoint
from training.attacks import FGSM, PGD
from training.checkpoint import CheckpointInfo, model_sha256, save
from training.config import TrainConfig, ValidationConfig
from training.models import ModelConfig
from training.objectives import PGDAT
from training.run import train
from training.threat import ThreatModel


@pytest.fixture(scope="module")
def checkpoint(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_checkpoint(tiny_dataset, tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def two_workers(checkpoint: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """24 clips in 4 batches of up to 7, shared by two tasks."""
    output = tmp_path_factory.mktemp("two_workers")
    return output, evaluate(settings(checkpoint, tiny_dataset, output))


def test_an_evaluation_leaves_four_files_that_verify(two_workers: tuple[Path, Report]) -> None:
    output, report = two_workers
    assert sorted(path.name for path in output.iterdir()) == [
        CERTIFICATES_NAME,
        PERTURBATIONS_NAME,
        PAGE_NAME,
        REPORT_NAME,
    ]
    assert Report.read(output) == report
    assert verify(output) == []


def test_one_worker_gives_the_same_bits_as_two(
    two_workers: tuple[Path, Report], checkpoint: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    output, report = two_workers
    alone = evaluate(settings(checkpoint, tiny_dataset, tmp_path, workers=1))
    for name in (CERTIFICATES_NAME, PERTURBATIONS_NAME):
        assert (tmp_path / name).read_bytes() == (output / name).read_bytes()
    changed = {"config", "seconds"}
    assert alone.model_dump(exclude=changed) == report.model_dump(exclude=changed)


class WorkerKiller(logging.Handler):
    """Kills one task of this evaluation when the first attack is done, while the others still run."""

    killed: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.killed is None:
            self.killed = next(iter(own_tasks()))
            os.kill(self.killed, signal.SIGKILL)


def own_tasks() -> list[int]:
    """Processes below this one that run a share of an evaluation."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # ended meanwhile
            continue
    below, found = [os.getpid()], set()
    while below:
        parent = below.pop()
        children = [child for child, its_parent in parents.items() if its_parent == parent]
        below += children
        found |= {child for child in children if b"measure_portion" in Path(f"/proc/{child}/cmdline").read_bytes()}
    return sorted(found)


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(checkpoint: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    """Its portion is begun again; what had arrived before is not measured again."""
    config = settings(checkpoint, tiny_dataset, tmp_path / "killed", attacks=(FGSM(), PGD(steps=20)))
    killer = WorkerKiller()
    progress = logging.getLogger("evaluation.planning.progress")
    level = progress.level
    progress.addHandler(killer)
    progress.setLevel(logging.INFO)
    try:
        evaluate(config)
    finally:
        progress.removeHandler(killer)
        progress.setLevel(level)
    assert killer.killed is not None
    assert verify(tmp_path / "killed") == []
    evaluate(config.model_copy(update={"output": str(tmp_path / "whole")}))
    killed, whole = (tmp_path / name / CERTIFICATES_NAME for name in ("killed", "whole"))
    assert killed.read_bytes() == whole.read_bytes()


def test_more_workers_than_batches_lose_no_clip(
    two_workers: tuple[Path, Report], checkpoint: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    output, _ = two_workers
    config = settings(checkpoint, tiny_dataset, tmp_path, workers=6, attacks=(FGSM(),), curve=(1.0,))
    evaluate(config)
    threat = str(config.threat)
    found = Certificates.read(tmp_path / CERTIFICATES_NAME).select("fgsm", threat)
    assert found.table.equals(Certificates.read(output / CERTIFICATES_NAME).select("fgsm", threat).table)


def test_the_trained_model_is_right_until_it_is_attacked(two_workers: tuple[Path, Report]) -> None:
    _, report = two_workers
    assert report.num_clips == 24
    assert report.clean_accuracy > 0.9
    assert report.curve[-1].robust_accuracy < report.clean_accuracy
    assert report.withheld is None


def test_the_report_names_model_and_data(
    two_workers: tuple[Path, Report], checkpoint: Path, tiny_dataset: Path
) -> None:
    _, report = two_workers
    assert report.model_sha256 == model_sha256(checkpoint)
    assert report.dataset_content_sha256 == load_index(str(tiny_dataset)).content_sha256


def test_only_the_first_clips_are_measured_with_a_limit(
    checkpoint: Path,
    tiny_dataset: Path,
    tmp_path: Path,
    two_workers: tuple[Path, Report],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each finished attack says how far it is: 10 clips in all."""
    with caplog.at_level(logging.INFO, logger="evaluation"):
        report = evaluate(settings(checkpoint, tiny_dataset, tmp_path, limit=10, attacks=(PGD(steps=2),), curve=(1.0,)))
    assert report.num_clips == 10
    lines = [record.getMessage() for record in caplog.records if "pgd-2 linf(video=8/255" in record.getMessage()]
    assert any("10/10 clips, robust accuracy " in line and line.endswith(" left") for line in lines)
    keys = Certificates.read(tmp_path / CERTIFICATES_NAME).select("pgd-2", report.threat).table["key"]
    everything = Certificates.read(two_workers[0] / CERTIFICATES_NAME).select("fgsm", report.threat).table["key"]
    assert keys.to_pylist() == everything.to_pylist()[:10]


def test_a_model_of_other_classes_or_clips_is_refused(checkpoint: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    other_format = ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=16, num_mels=16)
    model_config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16)
    classes = load_index(str(tiny_dataset)).classes
    for clip_format, known, message in (
        (load_index(str(tiny_dataset)).format, ("cat", "dog"), "knows the classes cat, dog"),
        (other_format, classes, "was trained on clips as"),
    ):
        info = CheckpointInfo(
            model=model_config, clip_format=clip_format, classes=known, dataset_sha256="", epoch=1, metrics={}
        )
        save(folder, model=model_config.build(clip_format, len(known)), info=info, config={}, state={})
        with pytest.raises(ValueError, match=message):
            evaluate(settings(folder, tiny_dataset, tmp_path / "report"))
        with pytest.raises(ValueError, match=f"'{folder}' {message}"):
            evaluate(settings(checkpoint, tiny_dataset, tmp_path / "report", surrogates=(str(folder),)))
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_a_model_trained_on_waveforms_is_measured_on_waveforms(tiny_dataset: Path, tmp_path: Path) -> None:
    """An epoch of training against the threat, then the report of it."""
    threat = ThreatModel.model_validate("linf(video=2/255, waveform=0.02, segments=0-2)")
    result = train(
        TrainConfig(
            data=str(tiny_dataset),
            output=str(tmp_path / "run"),
            model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16),
            objective=PGDAT(attack=PGD(steps=1), threat=threat),
            validation=ValidationConfig(attacks=(PGD(steps=1),), threat=threat),
            epochs=1,
            batch_size=8,
        )
    )
    assert 0 <= result.best["validation/robust_accuracy"] <= result.best["validation/clean_accuracy"] <= 1
    output = tmp_path / "report"
    report = evaluate(settings(result.checkpoint, tiny_dataset, output, threat=threat, workers=1))
    assert verify(output) == []
    assert report.threat == "linf(video=2/255, waveform=0.02, segments=0-2)"
    rows = Certificates.read(output / CERTIFICATES_NAME).select("pgd-4", report.threat)
    assert rows.numbers("linf_audio") == pytest.approx(0.02, rel=1e-3)
    assert (rows.numbers("linf_outside") == 0).all()


@pytest.mark.slow
def test_a_model_trained_on_patches_is_as_right_on_the_waveforms_that_they_were_made_of(
    two_workers: tuple[Path, Report], checkpoint: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    """Patches differ from the front end's output by their rounding alone. A fooled clip is shown as patches."""
    threat = ThreatModel.model_validate("linf(video=32/255, waveform=0.05)")
    evaluate(settings(checkpoint, tiny_dataset, tmp_path, threat=threat, attacks=(PGD(steps=4),), curve=(1.0,)))
    on_waveforms = Certificates.read(tmp_path / CERTIFICATES_NAME).select("pgd-4", str(threat))
    on_patches = Certificates.read(two_workers[0] / CERTIFICATES_NAME).select("fgsm", two_workers[1].threat)
    for column in ("key", "clean_prediction"):
        assert on_waveforms.table[column].equals(on_patches.table[column])
    assert "log-mel spectrograms of the waveforms below" in (tmp_path / PAGE_NAME).read_text()


def test_a_threat_to_segments_that_clips_do_not_have_is_refused(
    checkpoint: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    threat = ThreatModel.model_validate("linf(video=4/255, segments=2-4)")
    with pytest.raises(ValueError, match=r"names segment 4, but the clips of '.*' have 4 segments \(from 0\)"):
        evaluate(settings(checkpoint, tiny_dataset, tmp_path, threat=threat))


def test_missing_inputs_are_named(checkpoint: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a finished data set"):
        evaluate(settings(checkpoint, tmp_path, tmp_path))
    with pytest.raises(ValueError, match="is not a checkpoint"):
        evaluate(settings(tmp_path, tiny_dataset, tmp_path))
    with pytest.raises(ValueError, match="nowhere' is not a checkpoint"):
        evaluate(settings(checkpoint, tiny_dataset, tmp_path, surrogates=(str(tmp_path / "nowhere"),)))
