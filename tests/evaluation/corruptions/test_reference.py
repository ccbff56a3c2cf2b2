from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.corruptions.predictions import PREDICTIONS_NAME
from evaluation.corruptions.reference import load_reference
from evaluation.corruptions.summary import summarise
from evaluation.stored.certificates import file_sha256
from preprocessing.errors import DataError
from tests.evaluation.corruptions.hand_made import ERRORS, FACTS, config_of, measured

HASH = FACTS.dataset_content_sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished measurement."""
    predictions = measured(ERRORS)
    predictions.write(tmp_path / PREDICTIONS_NAME)
    facts = FACTS.model_copy(update={"predictions_sha256": file_sha256(tmp_path / PREDICTIONS_NAME)})
    summarise(predictions, reference=None, config=config_of(), facts=facts).write(tmp_path)
    return tmp_path


def test_a_reference_brings_its_predictions(folder: Path) -> None:
    config = config_of(reference=str(folder), corruptions=("rain",))
    found = load_reference(config, num_clips=10, dataset_content_sha256=HASH, recordings_sha256=None)
    assert found is not None
    assert found[0].clean_accuracy == pytest.approx(0.9)
    assert found[1].table.equals(measured(ERRORS).table)
    assert load_reference(config_of(), num_clips=10, dataset_content_sha256=HASH, recordings_sha256=None) is None


def test_all_that_differs_is_told_at_once(folder: Path) -> None:
    config = config_of(reference=str(folder), split="train", corruptions=("rain", "snow"))
    with pytest.raises(DataError) as caught:
        load_reference(config, num_clips=9, dataset_content_sha256="ff", recordings_sha256="ab")
    for told in ("split: 'test' there, 'train' here", "num_clips: 10", "dataset_content", "recordings", "snow was not"):
        assert told in str(caught.value)


def test_predictions_that_were_changed_are_refused(folder: Path) -> None:
    measured(ERRORS | {("rain", 1): ()}).write(folder / PREDICTIONS_NAME)
    with pytest.raises(DataError, match="its report was made from"):
        load_reference(
            config_of(reference=str(folder)), num_clips=10, dataset_content_sha256=HASH, recordings_sha256=None
        )
