"""Reports that were forged with care, every hash and number put right, and tried on their model again."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from evaluation.reporting.page import PAGE_NAME, pictures_of, report_page
from evaluation.reporting.report import Report
from evaluation.reporting.summary import summarise
from evaluation.run import evaluate, verify
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates, file_sha256
from evaluation.stored.perturbations import PERTURBATIONS_NAME, read_perturbations, write_perturbations
from evaluation.stored.perturbations import SCHEMA as PERTURBATIONS_SCHEMA
from evaluation.verification.files import verify_files
from tests.evaluation.evaluations import settings, trained_checkpoint
from training.threat import ThreatModel

Change = Callable[[dict[str, list[object]]], None]


@pytest.fixture(scope="module")
def checkpoint(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_checkpoint(tiny_dataset, tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def original(checkpoint: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("original")
    threat = ThreatModel(video=32 / 255, audio=32 / 255)
    report = evaluate(settings(checkpoint, tiny_dataset, output, threat=threat))
    assert report.attacks[1].robust_accuracy < report.clean_accuracy
    return output


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "report")
    return tmp_path / "report"


def forge(folder: Path, change: Change) -> None:
    """Change certificates, and put every hash, number and word of the report and its page right."""
    report = Report.read(folder)
    certificates = Certificates.read(folder / CERTIFICATES_NAME)
    columns = certificates.table.to_pydict()
    change(columns)
    forged = Certificates(pa.table(columns, schema=certificates.table.schema))
    forged.write(folder / CERTIFICATES_NAME)
    facts = report.facts.model_copy(
        update={"certificates_sha256": file_sha256(folder / CERTIFICATES_NAME), "example": None}
    )
    report = summarise(forged, config=report.config, facts=facts)
    (folder / PAGE_NAME).write_text(report_page(report, pictures_of(report)))
    report.write(folder)


def test_an_honest_report_holds_wherever_its_model_and_data_are(
    folder: Path, checkpoint: Path, tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert verify(folder) == []
    moved = shutil.copytree(checkpoint, tmp_path / "moved")
    assert verify(folder, checkpoint=str(moved), data=str(tiny_dataset)) == []
    assert "not checked" not in caplog.text


def test_predictions_that_were_made_better_are_tried_again_and_named(folder: Path) -> None:
    """The report looks as sound as before, and claims that no attack fools anything."""

    def all_right(columns: dict[str, list[object]]) -> None:
        columns["perturbed_prediction"] = list(columns["label"])

    forge(folder, all_right)
    assert verify_files(folder) == []
    problems = verify(folder)
    assert any("the certificate says perturbed_prediction" in problem for problem in problems)
    known = ("pgd-4", "pgd-3 margin", "fgsm", "noise")
    assert all(any(name in problem for name in known) for problem in problems)


def test_a_clean_accuracy_that_was_made_worse_is_named(folder: Path) -> None:
    """Worse untouched, so that a defence seems to cost less: one clip is enough to be found."""

    def one_wrong(columns: dict[str, list[object]]) -> None:
        key = columns["key"][5]
        for row, found in enumerate(columns["key"]):
            if found == key:
                columns["clean_prediction"][row] = (int(str(columns["label"][row])) + 1) % 4

    forge(folder, one_wrong)
    assert verify_files(folder) == []
    (problem,) = verify(folder)
    assert "untouched: the certificates say class" in problem


def test_labels_are_those_of_the_data_set(folder: Path) -> None:
    def other_label(columns: dict[str, list[object]]) -> None:
        key = columns["key"][0]
        for row, found in enumerate(columns["key"]):
            if found == key:
                columns["label"][row] = (int(str(columns["label"][row])) + 1) % 3

    forge(folder, other_label)
    assert any("the certificates call its class" in problem for problem in verify(folder))


def test_distances_that_were_made_smaller_are_measured_again(folder: Path) -> None:
    def closer(columns: dict[str, list[object]]) -> None:
        columns["linf_video"] = [float(str(value)) / 2 for value in columns["linf_video"]]

    forge(folder, closer)
    assert verify_files(folder) == []
    assert any("the certificate says linf_video" in problem for problem in verify(folder))


def test_perturbations_that_are_left_out_replaced_or_too_many_are_named(folder: Path) -> None:
    path = folder / PERTURBATIONS_NAME
    rows = list(read_perturbations(path))
    harmless = rows[0] | {"video": bytes(len(rows[0]["video"])), "audio": bytes(len(rows[0]["audio"]))}
    foreign = rows[-1] | {"key": "another clip"}
    write_perturbations(path, [pa.Table.from_pylist([harmless, *rows[2:], foreign], schema=PERTURBATIONS_SCHEMA)])
    problems = verify(folder)
    assert any(f"clip '{rows[0]['key']}' under fgsm" in problem and "linf_video" in problem for problem in problems)
    assert any(f"lacks the perturbation of clip '{rows[1]['key']}' by fgsm" in problem for problem in problems)
    assert any("has one of clip 'another clip'" in problem for problem in problems)


def test_a_page_that_says_something_else_is_named(folder: Path) -> None:
    page = folder / PAGE_NAME
    page.write_text(page.read_text().replace('<div class="number">', '<div class="number">9', 1))
    (problem,) = verify(folder)
    assert problem.startswith(f"{PAGE_NAME} says '")


def test_the_clip_that_is_shown_is_named_as_its_certificate_says(folder: Path) -> None:
    report = Report.read(folder)
    assert report.example is not None
    shown = report.example.model_copy(update={"mistaken_for": report.example.class_name})
    forged = report.model_copy(update={"example": shown})
    forged.write(folder)
    assert any("the clip shown is said to be" in problem for problem in verify(folder))


def test_what_cannot_be_tried_again_is_said(
    folder: Path, checkpoint: Path, tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = trained_checkpoint(tiny_dataset, tmp_path / "other")
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    with caplog.at_level(logging.WARNING):
        assert verify(folder, checkpoint=str(tmp_path / "gone")) == []
        assert verify(folder, data=str(tmp_path / "gone")) == []
        assert verify(folder, checkpoint=str(other)) == []
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert said[0].startswith("not checked: predictions: ")
    assert "is not a checkpoint" in said[0]
    assert "is not a finished data set" in said[1]
    assert "is another model than" in said[2]
