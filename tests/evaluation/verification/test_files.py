"""A report that was changed after the fact, in any of its parts, is caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pytest

from evaluation.config import EvaluateConfig
from evaluation.reporting.page import PAGE_NAME, pictures_of, report_page
from evaluation.reporting.report import REPORT_NAME, Report
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates, file_sha256
from evaluation.verification.files import differences, verify

Summarised = Callable[[Certificates, EvaluateConfig], Report]


@pytest.fixture
def folder(certificates: Certificates, config: EvaluateConfig, summarised: Summarised, tmp_path: Path) -> Path:
    """A sound evaluation."""
    report = summarised(certificates, config)
    (tmp_path / PAGE_NAME).write_text(report_page(report, pictures_of(report)))
    replace_certificates(tmp_path, certificates, report)
    return tmp_path


def replace_certificates(folder: Path, certificates: Certificates, report: Report) -> None:
    """Write certificates and let the report name their hash."""
    certificates.write(folder / CERTIFICATES_NAME)
    known = report.model_dump() | {"certificates_sha256": file_sha256(folder / CERTIFICATES_NAME)}
    Report.model_validate(known).write(folder)


def with_value(certificates: Certificates, column: str, row: int, value: object) -> Certificates:
    """The same table with one cell changed."""
    table = certificates.table
    values = table[column].to_pylist()
    values[row] = value
    position = table.column_names.index(column)
    return Certificates(
        table.set_column(position, table.schema.field(column), pa.array(values, table.schema.field(column).type))
    )


def test_a_sound_report_has_no_problems(folder: Path) -> None:
    assert verify(folder) == []
    assert verify(str(folder)) == []


def test_a_better_number_is_caught(folder: Path) -> None:
    path = folder / REPORT_NAME
    stated = json.loads(path.read_text())
    stated["worst_case_robust_accuracy"] += 0.1
    stated["attacks"][1]["robust_accuracy"] = 1.0
    path.write_text(json.dumps(stated))
    problems = verify(folder)
    assert len(problems) == 2
    assert any(problem.startswith("worst_case_robust_accuracy: the report says") for problem in problems)
    assert any(problem.startswith("attacks[1].robust_accuracy: the report says 1.0") for problem in problems)


def test_a_headline_that_should_be_withheld_is_caught(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    """All clips' repeated passes differ, so the check fires when it is computed again."""
    rows = certificates.table.num_rows
    table = certificates.table.set_column(
        certificates.table.column_names.index("forward_difference"),
        certificates.table.schema.field("forward_difference"),
        pa.array([0.5] * rows),
    )
    replace_certificates(folder, Certificates(table), summarised(certificates, config))
    assert any(problem.startswith("worst_case_robust_accuracy: the report says 0.") for problem in verify(folder))


def test_changed_certificates_are_caught_by_their_hash(folder: Path, certificates: Certificates) -> None:
    changed = with_value(certificates, "l2_audio", 0, 0.123)
    changed.write(folder / CERTIFICATES_NAME)
    assert any("has SHA-256" in problem for problem in verify(folder))


def test_a_changed_prediction_is_caught_even_with_a_new_hash(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    rows = certificates.select("fgsm", str(config.threat))
    fooled = int((rows.is_right_when_clean & ~rows.is_robust).argmax())
    changed = with_value(certificates, "perturbed_prediction", fooled, int(rows.column("label")[fooled]))
    replace_certificates(folder, changed, summarised(certificates, config))
    assert any(problem.startswith("attacks[0].robust_accuracy") for problem in verify(folder))


def test_a_clip_outside_the_budget_is_named(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    changed = with_value(certificates, "distance_video", 3, 0.5)
    replace_certificates(folder, changed, summarised(changed, config))
    assert verify(folder) == [
        "clip 'clip_1_0003' under fgsm: video is 0.5 away from the clean clip, the budget is 0.027451"
    ]


def test_a_touched_segment_that_was_to_be_spared_is_caught(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    changed = with_value(certificates, "linf_outside", 3, 0.01)
    replace_certificates(folder, changed, summarised(changed, config))
    assert verify(folder) == [
        "clip 'clip_1_0003' under fgsm: a segment that linf(video=7/255, audio=7/255) spares is changed by 0.01"
    ]


def test_a_value_that_left_its_box_is_caught(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    """Log-mel values lie in [0, 1], so none can change by more than 1."""
    changed = with_value(certificates, "linf_audio", 3, 1.5)
    replace_certificates(folder, changed, summarised(changed, config))
    assert verify(folder) == ["clip 'clip_1_0003' under fgsm: audio is changed by 1.5, although it lies in [0, 1]"]


def test_a_missing_row_is_caught(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    last = Certificates(certificates.table.slice(0, certificates.table.num_rows - 1))
    replace_certificates(folder, last, summarised(certificates, config))
    assert any("cover other clips than those of fgsm" in problem for problem in verify(folder))


def test_a_row_twice_is_caught(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    table = pa.concat_tables([certificates.table.slice(0, 1), certificates.table])
    replace_certificates(folder, Certificates(table), summarised(certificates, config))
    problems = verify(folder)
    assert any("49 clips have certificates of fgsm" in problem for problem in problems)
    assert any("appear more than once" in problem for problem in problems)
    assert any("allowed: 49, one for each clip, as of attack 'fgsm'" in problem for problem in problems)


def test_a_missing_attack_is_caught(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    kept = certificates.table.filter(pyarrow.compute.not_equal(certificates.table["attack"], "pgd-5 margin"))
    replace_certificates(folder, Certificates(kept), summarised(certificates, config))
    assert any("no certificates of attack 'pgd-5 margin'" in problem for problem in verify(folder))


def test_another_model_is_caught(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    changed = with_value(certificates, "model_sha256", 5, "ff" * 32)
    replace_certificates(folder, changed, summarised(certificates, config))
    assert any("certificates name other models" in problem for problem in verify(folder))


def test_rows_that_disagree_about_a_clip_are_caught(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    changed = with_value(certificates, "label", certificates.table.num_rows - 1, 3)
    replace_certificates(folder, changed, summarised(certificates, config))
    assert any("disagree with the first ones about the untouched clips" in problem for problem in verify(folder))


@pytest.mark.parametrize("name", [REPORT_NAME, PAGE_NAME, CERTIFICATES_NAME])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert verify(folder) == [f"'{folder / name}' does not exist"]


def test_damaged_files_are_problems_and_no_crash(folder: Path) -> None:
    (folder / CERTIFICATES_NAME).write_bytes(b"PAR1 and nothing else PAR1")
    assert "cannot be read as a table of certificates" in verify(folder)[0]
    (folder / REPORT_NAME).write_text("{}")
    assert "is damaged: it does not say its format version" in verify(folder)[0]


def test_no_rows_at_all_is_a_problem(
    folder: Path, certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    replace_certificates(folder, Certificates(certificates.table.slice(0, 0)), summarised(certificates, config))
    assert f"{CERTIFICATES_NAME} has no rows" in verify(folder)


def test_differences_name_the_place() -> None:
    stated = {"a": [1.0, {"b": None}], "c": "x", "d": 1}
    computed = {"a": [1.0 + 1e-12, {"b": 2.0}], "c": "y"}
    assert sorted(differences(stated, computed)) == [("a[1].b", None, 2.0), ("c", "x", "y"), ("d", 1, None)]
