"""Lines for a leaderboard, and what a checkpoint still says of a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.comparison import compare
from evaluation.comparison.evaluations import read_methods
from evaluation.comparison.leaderboard import leaderboard
from evaluation.comparison.origins import origin_of
from evaluation.config import EvaluateConfig
from evaluation.reporting.report import Report
from tests.evaluation.comparison.conftest import Evaluated, first
from tests.evaluation.conftest import FORMAT
from training.checkpoint import MODEL_NAME, CheckpointInfo, model_sha256, save
from training.models import Classifier, ModelConfig

FIELDS = {"link", "name", "authors", "additional_data", "number_forward_passes", "dataset", "venue", "architecture"}
FIELDS |= {"eps", "clean_acc", "footnote", "unreliable"}
"""Those that every file of RobustBench's `model_info/` has; accuracies under attack are told apart below."""


@pytest.fixture
def with_checkpoint(
    evaluated: Evaluated, model: Classifier, class_names: tuple[str, ...], config: EvaluateConfig, tmp_path: Path
) -> Path:
    """An evaluation whose checkpoint is where it says."""
    checkpoint = tmp_path / "checkpoint"
    info = CheckpointInfo(
        model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16),
        clip_format=FORMAT,
        classes=class_names,
        dataset_sha256="cd" * 32,
        epoch=6,
        metrics={},
    )
    save(checkpoint, model=model, info=info, config={"objective": {"name": "awp"}}, state={})
    here = EvaluateConfig.model_validate(config.model_dump() | {"checkpoint": str(checkpoint)})
    known = {"config": here, "model_sha256": model_sha256(checkpoint)}
    return evaluated(clean=first(17), attacked=first(7), **known)


def lines(folders: dict[str, Path]) -> list[dict[str, object]]:
    comparison = compare(folders)
    methods = read_methods({name: (folder,) for name, folder in folders.items()})
    return [json.loads(line) for line in leaderboard(comparison, methods).splitlines()]


def test_a_line_has_robustbenchs_fields_and_its_form(standard: Path, with_checkpoint: Path) -> None:
    """Accuracies are text in percent; what only people know is empty, and nothing is made up."""
    unknown, known = lines({"standard": standard, "ours": with_checkpoint})
    for each in (unknown, known):
        assert each.keys() == FIELDS | {"reported", "external"}
        assert (each["link"], each["authors"], each["venue"]) == ("", "", "")
        assert each["unreliable"] is False
        float(str(each["external"])), float(str(each["clean_acc"]))
    assert (known["clean_acc"], known["external"], known["name"]) == ("85.00", "35.00", "ours")
    assert (known["architecture"], known["additional_data"]) == ("tiny-concat-tiny", False)
    assert (unknown["architecture"], unknown["additional_data"]) == ("", None)
    assert "worst case over fgsm, pgd-5, pgd-5 margin" in str(known["footnote"])


def test_a_withheld_number_is_left_out_and_marked(standard: Path, masked: Path) -> None:
    _, line = lines({"standard": standard, "masked": masked})
    assert line.keys() == FIELDS
    assert line["unreliable"] is True
    assert str(line["footnote"]).endswith("Withheld: fog.")


def test_another_model_at_the_checkpoints_place_is_not_taken_for_it(with_checkpoint: Path) -> None:
    report = Report.read(with_checkpoint)
    origin = origin_of(report)
    assert origin is not None
    assert origin.settings == {"objective": {"name": "awp"}}
    weights = Path(str(report.config.checkpoint)) / MODEL_NAME
    weights.write_bytes(weights.read_bytes() + b" ")
    assert origin_of(report) is None


def test_weights_from_elsewhere_are_additional_data(with_checkpoint: Path) -> None:
    origin = origin_of(Report.read(with_checkpoint))
    assert origin is not None
    assert not origin.has_additional_data
    changed = origin.info.model.model_copy(update={"audio_weights": "imagenet"})
    assert type(origin)(origin.info.model_copy(update={"model": changed}), {}).has_additional_data
