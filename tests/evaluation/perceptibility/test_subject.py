"""The evaluations that can be looked at, and the line that refuses every other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.subject import load_subject
from evaluation.reporting.report import REPORT_NAME
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates
from evaluation.stored.perturbations import PERTURBATIONS_NAME, SCHEMA, write_perturbations
from preprocessing.errors import UserError
from tests.evaluation.evaluations import trained_checkpoint
from training.checkpoint import model_sha256


def config_of(evaluation: Path, **changes: object) -> PerceptibilityConfig:
    return PerceptibilityConfig.model_validate({"evaluation": str(evaluation), "output": "out"} | changes)


def copied(evaluation: Path, tmp_path: Path, change: Callable[[dict[str, dict[str, object]]], None]) -> Path:
    """A copy of an evaluation whose report says something else."""
    folder = shutil.copytree(evaluation, tmp_path / "copy")
    record = json.loads((folder / REPORT_NAME).read_text())
    change(record)
    (folder / REPORT_NAME).write_text(json.dumps(record))
    return Path(folder)


def test_the_clips_are_those_that_the_attacks_of_the_list_made(logmel_evaluation: Path) -> None:
    """6 clips under each of the two; the unbounded attack and those on one modality are left out."""
    subject = load_subject(config_of(logmel_evaluation))
    assert {attack: len(rows) for attack, rows in subject.perturbations.items()} == {"fgsm": 6, "pgd-4": 6}
    assert len(subject.keys) == 6
    certificates = Certificates.read(logmel_evaluation / CERTIFICATES_NAME).select("pgd-4", str(subject.threat))
    known = {row["key"]: row for row in certificates.table.to_pylist()}
    rows = subject.perturbations["pgd-4"]
    clean = subject.clean([row["key"] for row in rows])
    perturbed = subject.perturbed(rows, clean)
    distances = (perturbed.video - clean.video).abs().flatten(1).amax(1)
    assert distances.tolist() == pytest.approx([known[row["key"]]["linf_video"] for row in rows], rel=1e-5)


def test_model_and_data_are_found_where_they_are_now(
    logmel_evaluation: Path, checkpoint: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    def moved(record: dict[str, dict[str, object]]) -> None:
        record["config"] |= {"checkpoint": str(tmp_path / "gone"), "data": str(tmp_path / "gone_too")}

    folder = copied(logmel_evaluation, tmp_path, moved)
    with pytest.raises(UserError, match=r"the evaluation's data set: .*gone_too.* if it was moved, .* data=DIR$"):
        load_subject(config_of(folder))
    with pytest.raises(UserError, match=r"the evaluation's model: .*gone.* if it was moved, .* checkpoint=DIR$"):
        load_subject(config_of(folder, data=str(tiny_dataset)))
    subject = load_subject(config_of(folder, data=str(tiny_dataset), checkpoint=str(checkpoint)))
    assert subject.victim.sha256 == model_sha256(str(checkpoint))


def test_another_model_and_another_data_set_are_refused(
    logmel_evaluation: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    other = trained_checkpoint(tiny_dataset, tmp_path / "other")
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(UserError, match=r"is the model \w{12}, .* measured \w{12}: .* checkpoint=DIR"):
        load_subject(config_of(logmel_evaluation, checkpoint=str(other)))
    folder = copied(logmel_evaluation, tmp_path, lambda record: record.update({"dataset_content_sha256": {}}))
    record = json.loads((folder / REPORT_NAME).read_text()) | {"dataset_content_sha256": "0" * 64}
    (folder / REPORT_NAME).write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"is the data set \w{12}, .* was measured on 000000000000: .* data=DIR"):
        load_subject(config_of(folder))


def test_a_folder_without_an_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no finished evaluation"):
        load_subject(config_of(tmp_path))
    (tmp_path / REPORT_NAME).write_text("{")
    with pytest.raises(UserError, match="is damaged: it is no JSON"):
        load_subject(config_of(tmp_path))


def test_an_evaluation_without_perturbations_is_refused(logmel_evaluation: Path, tmp_path: Path) -> None:
    def none_stored(record: dict[str, dict[str, object]]) -> None:
        record["config"]["stored_perturbations"] = 0

    folder = copied(logmel_evaluation, tmp_path, none_stored)
    with pytest.raises(UserError, match=r"no stored perturbations \(stored_perturbations=0\): evaluate again with"):
        load_subject(config_of(folder))
    shutil.copy(logmel_evaluation / REPORT_NAME, folder)
    write_perturbations(folder / PERTURBATIONS_NAME, [SCHEMA.empty_table()])
    with pytest.raises(UserError, match="has no perturbation by an attack of the list"):
        load_subject(config_of(folder))
    (folder / PERTURBATIONS_NAME).unlink()
    with pytest.raises(UserError, match=r"perturbations.parquet' does not exist, without which no adversarial clip"):
        load_subject(config_of(folder))


def test_a_checkpoint_cannot_take_the_place_of_an_imported_model(logmel_evaluation: Path, tmp_path: Path) -> None:
    def imported(record: dict[str, dict[str, object]]) -> None:
        record["config"] |= {"checkpoint": None, "model": "somewhere:factory"}

    folder = copied(logmel_evaluation, tmp_path, imported)
    with pytest.raises(UserError, match="measured model=somewhere:factory, which is imported by that name"):
        load_subject(config_of(folder, checkpoint="anywhere"))


def test_waveforms_are_read_where_the_threat_is_to_them(waveform_evaluation: Path) -> None:
    subject = load_subject(config_of(waveform_evaluation))
    rows = subject.perturbations["fgsm"]
    clean = subject.clean([row["key"] for row in rows])
    assert clean.has_waveform
    change = (subject.perturbed(rows, clean).audio - clean.audio).abs().flatten(1).amax(1)
    assert torch.allclose(change, torch.tensor(0.05), atol=1e-4)
