from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evaluation.corruptions.config import CorruptionsConfig
from evaluation.corruptions.measurement import (
    Condition,
    CorruptedPiece,
    clips_of,
    conditions_of,
    corrupt,
    measure_corrupted,
    mingled,
)
from evaluation.corruptions.predictions import Predictions
from evaluation.tasks.measurement import predict
from preprocessing.errors import DataError
from preprocessing.schema import ClipFormat
from preprocessing.storage.records import load_index
from training.batch import Batch
from training.checkpoint import load_model
from training.data import evaluation_batches
from training.models import Classifier

RAIN = Condition("rain", 3)


@pytest.fixture(scope="module")
def clip_format(tiny_dataset: Path) -> ClipFormat:
    return load_index(str(tiny_dataset)).format


@pytest.fixture(scope="module")
def model(small_config: CorruptionsConfig) -> Classifier:
    classifier, _ = load_model(small_config.checkpoint)
    return classifier


def test_a_clip_is_corrupted_alike_in_any_batch(stored_batch: Batch, clip_format: ClipFormat) -> None:
    together = corrupt(stored_batch, RAIN, clip_format=clip_format, seed=0, recordings=None)
    for row in (0, 5):
        one = stored_batch.select(torch.tensor([row]))
        alone = corrupt(one, RAIN, clip_format=clip_format, seed=0, recordings=None)
        assert torch.equal(alone.video[0], together.video[row])
        assert torch.equal(alone.audio[0], together.audio[row])


def test_a_batch_keeps_its_shapes_and_its_clean_clips(stored_batch: Batch, clip_format: ClipFormat) -> None:
    before = stored_batch.video.clone(), stored_batch.audio.clone()
    found = corrupt(stored_batch, RAIN, clip_format=clip_format, seed=0, recordings=None)
    assert (found.video.shape, found.audio.shape) == (stored_batch.video.shape, stored_batch.audio.shape)
    assert found.keys == stored_batch.keys
    assert torch.equal(stored_batch.video, before[0])
    assert torch.equal(stored_batch.audio, before[1])


def test_a_clip_is_its_segments_joined(stored_batch: Batch, clip_format: ClipFormat) -> None:
    clip = clips_of(stored_batch, clip_format)[1]
    assert clip.key == stored_batch.keys[1]
    assert clip.waveform.tolist() == stored_batch.audio[1].flatten().tolist()
    assert clip.frame_seconds.tolist() == [0.25, 0.75, 1.25, 1.75]


def test_clips_without_a_waveform_are_refused(tiny_dataset: Path, clip_format: ClipFormat) -> None:
    patches = next(evaluation_batches(str(tiny_dataset), "test", batch_size=2))
    with pytest.raises(DataError, match=r"clips have log-mel patches \[32, 50\] as their sound, but corruptions are"):
        corrupt(patches, RAIN, clip_format=clip_format, seed=0, recordings=None)


def test_one_modality_stays_clean_when_the_other_is_corrupted(stored_batch: Batch, clip_format: ClipFormat) -> None:
    corrupted = corrupt(stored_batch, RAIN, clip_format=clip_format, seed=0, recordings=None)
    for perturbed, video, audio in (
        ("both", corrupted.video, corrupted.audio),
        ("video", corrupted.video, stored_batch.audio),
        ("audio", stored_batch.video, corrupted.audio),
    ):
        found = mingled(stored_batch, corrupted, perturbed)  # type: ignore[arg-type]
        assert found.video is video
        assert found.audio is audio


def measured(
    model: Classifier, batch: Batch, config: CorruptionsConfig, clip_format: ClipFormat
) -> list[CorruptedPiece]:
    return list(measure_corrupted(model, [batch], config, clip_format=clip_format, model_sha256="ab"))


def test_every_condition_has_a_row_per_clip_with_what_the_model_says(
    model: Classifier, stored_batch: Batch, small_config: CorruptionsConfig, clip_format: ClipFormat
) -> None:
    """The model sees the corrupted waveform through its own front end. Loud clips are cut off."""
    pieces = measured(model, stored_batch, small_config, clip_format)
    assert [piece.condition for piece in pieces] == list(range(6))
    rain = Predictions.joined([piece.predictions for piece in pieces]).select("rain", 5)
    assert rain.table["key"].to_pylist() == list(stored_batch.keys)
    assert rain.table["clean_prediction"].to_pylist() == predict(model, stored_batch).tolist()
    corrupted = corrupt(stored_batch, Condition("rain", 5), clip_format=clip_format, seed=0, recordings=None)
    assert rain.table["prediction_both"].to_pylist() == predict(model, corrupted).tolist()
    patches = corrupted.with_streams(corrupted.video, model.logmel(corrupted.audio))
    assert rain.table["prediction_both"].to_pylist() == predict(model, patches).tolist()
    assert rain.numbers("snr_audio_db") == pytest.approx(0.0, abs=0.3)


def test_only_the_modalities_asked_for_are_measured(
    model: Classifier, stored_batch: Batch, small_config: CorruptionsConfig, clip_format: ClipFormat
) -> None:
    config = CorruptionsConfig.model_validate(small_config.model_dump() | {"perturbed": ["audio"]})
    assert len(conditions_of(config)) == 6
    [first, *_] = measured(model, stored_batch, config, clip_format)
    assert first.predictions.table["prediction_both"].null_count == len(stored_batch)
    assert first.predictions.table["prediction_audio"].null_count == 0


def test_scores_that_are_not_finite_are_never_right(
    model: Classifier, stored_batch: Batch, small_config: CorruptionsConfig, clip_format: ClipFormat
) -> None:
    broken = replace(stored_batch, video=torch.full_like(stored_batch.video, float("nan")))
    assert predict(model, broken).tolist() == [-1] * len(broken)
