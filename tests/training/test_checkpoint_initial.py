"""Trainings that begin with a whole classifier that was trained before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from preprocessing.schema import ClipFormat
from training.checkpoint import CheckpointError, CheckpointInfo, load_initial, save
from training.models import Classifier, ModelConfig
from training.models.fusion import FusionName
from training.models.weights import WeightsError

CLASSES = ("a", "b", "c", "d")
HEADS: dict[FusionName, tuple[str, ...]] = {
    "concat": ("fusion.layers.2",),
    "film": ("fusion.classes",),
    "gated": ("fusion.classes",),
    "sum": ("fusion.video", "fusion.audio"),
}


def config(fusion: FusionName = "concat", **changes: object) -> ModelConfig:
    values = {"video_encoder": "tiny", "audio_encoder": "tiny", "fusion": fusion, "feature_size": 16, **changes}
    return ModelConfig.model_validate(values)


def stored(folder: Path, clip_format: ClipFormat, wanted: ModelConfig) -> Classifier:
    """A checkpoint of random weights in `folder`."""
    model = wanted.build(clip_format, len(CLASSES))
    info = CheckpointInfo(
        model=wanted, clip_format=clip_format, classes=CLASSES, dataset_sha256="0" * 64, epoch=1, metrics={}
    )
    save(folder, model=model, info=info, config={}, state={})
    return model


@pytest.mark.parametrize("fusion", HEADS)
def test_all_weights_are_taken_where_the_classes_are_the_same(
    fusion: FusionName, clip_format: ClipFormat, tmp_path: Path
) -> None:
    expected = stored(tmp_path, clip_format, config(fusion)).state_dict()
    wanted = config(fusion, weights=str(tmp_path))
    found = wanted.build(clip_format, len(CLASSES))
    load_initial(wanted, found, CLASSES)
    assert all(torch.equal(value, expected[name]) for name, value in found.state_dict().items())


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("b", "a", "c", "d")], ids=["fewer", "in another order"])
@pytest.mark.parametrize("fusion", HEADS)
def test_with_other_classes_the_last_layers_alone_stay_at_random(
    fusion: FusionName,
    classes: tuple[str, ...],
    clip_format: ClipFormat,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="training")
    expected = stored(tmp_path, clip_format, config(fusion)).state_dict()
    wanted = config(fusion, weights=str(tmp_path))
    model = wanted.build(clip_format, len(classes))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_initial(wanted, model, classes)
    for name, value in model.state_dict().items():
        is_head = name.rpartition(".")[0] in HEADS[fusion]
        assert torch.equal(value, (before if is_head else expected)[name]), name
    assert f"the last layers, {', '.join(HEADS[fusion])}, are left at random" in caplog.text


def test_another_architecture_is_refused_leaf_by_leaf(clip_format: ClipFormat, tmp_path: Path) -> None:
    stored(tmp_path, clip_format, config())
    wanted = config("sum", feature_size=8, weights=str(tmp_path))
    with pytest.raises(WeightsError) as refused:
        load_initial(wanted, wanted.build(clip_format, len(CLASSES)), CLASSES)
    lines = str(refused.value).splitlines()[1:]
    assert lines == ["  model.fusion: 'concat' there, 'sum' now", "  model.feature_size: 16 there, 8 now"]


def test_a_folder_that_is_no_checkpoint_is_refused(clip_format: ClipFormat, tmp_path: Path) -> None:
    wanted = config(weights=str(tmp_path))
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_initial(wanted, wanted.build(clip_format, len(CLASSES)), CLASSES)


def test_without_a_checkpoint_the_encoders_have_their_own_weights(clip_format: ClipFormat, tmp_path: Path) -> None:
    expected = stored(tmp_path, clip_format, config()).video_encoder.state_dict()
    torch.save(expected, tmp_path / "video.pt")
    wanted = config(video_weights=str(tmp_path / "video.pt"))
    model = wanted.build(clip_format, len(CLASSES))
    load_initial(wanted, model, CLASSES)
    assert all(torch.equal(value, expected[name]) for name, value in model.video_encoder.state_dict().items())


def test_weights_come_from_one_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fills both encoders: leave out audio_weights, or it"):
        config(weights=str(tmp_path), audio_weights=str(tmp_path / "audio.pt"))
