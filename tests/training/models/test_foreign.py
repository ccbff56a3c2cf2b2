from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from preprocessing.errors import DataError, PlaceError, SettingsError
from preprocessing.schema import ClipFormat
from training.models.adapters import Adapter
from training.models.foreign import ForeignModel, ModelInput, load_foreign, state_sha256

FORMAT = ClipFormat(num_segments=4, segment_seconds=0.1, frame_size=8, num_mels=8, n_fft=256, hop_length=100)
SOURCE = '''
import torch
from torch import nn

class Recorder(nn.Module):
    """Keeps what it was fed."""
    def __init__(self, num_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_classes))
    def forward(self, first, second):
        self.seen = first, second
        return self.weight.expand(len(first), -1)

class Behind:
    recorder = Recorder

def with_format(clip_format, num_classes):
    made = Recorder(num_classes)
    made.clip_format = clip_format
    return made

def broken():
    raise RuntimeError("no such file: backbone.pt")

def no_module():
    return 3

number = 3
'''


@pytest.fixture(autouse=True)
def their_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)


def load(factory: str = "theirs:Recorder", weights: str | None = None, **settings: Any) -> nn.Module:
    return load_foreign(factory, weights, ModelInput(**settings), clip_format=FORMAT, num_classes=3)


def fed(clips: tuple[Tensor, Tensor], **settings: Any) -> tuple[Tensor, Tensor]:
    """What the model is fed under these settings."""
    model = load(**settings)
    assert isinstance(model, ForeignModel)
    assert model(*clips).logits.shape == (len(clips[0]), 3)
    seen: tuple[Tensor, Tensor] = model.model.seen  # type: ignore[assignment]  # an attribute of theirs
    return seen


@pytest.fixture
def video() -> Tensor:
    return torch.rand(2, 4, 3, 8, 8)


@pytest.fixture
def audio() -> Tensor:
    return torch.rand(2, 4, 8, FORMAT.steps)


def test_as_it_is_a_model_gets_what_is_stored(video: Tensor, audio: Tensor) -> None:
    first, second = fed((video, audio))
    assert torch.equal(first, video)
    assert torch.equal(second, audio)


@pytest.mark.parametrize(
    ("settings", "video_shape", "audio_shape"),
    [
        ({"video": "channels_time"}, [2, 3, 4, 8, 8], [2, 4, 8, 16]),
        ({"audio": "per_clip"}, [2, 4, 3, 8, 8], [2, 8, 64]),
        ({"audio": "per_clip", "audio_channel": True}, [2, 4, 3, 8, 8], [2, 1, 8, 64]),
        ({"segments": "one_by_one"}, [8, 3, 8, 8], [8, 8, 16]),
        ({"segments": "one_by_one", "audio_channel": True}, [8, 3, 8, 8], [8, 1, 8, 16]),
    ],
)
def test_shapes_are_those_that_the_model_wants(
    settings: dict[str, Any], video_shape: list[int], audio_shape: list[int], video: Tensor, audio: Tensor
) -> None:
    first, second = fed((video, audio), **settings)
    assert (list(first.shape), list(second.shape)) == (video_shape, audio_shape)


def test_a_spectrogram_of_the_clip_is_its_patches_side_by_side(video: Tensor, audio: Tensor) -> None:
    _, spectrogram = fed((video, audio), audio="per_clip")
    assert torch.equal(spectrogram[1, :, 16:32], audio[1, 1])


def test_values_are_scaled_and_normalised_behind_the_attack(video: Tensor, audio: Tensor) -> None:
    first, second = fed(
        (video, audio), order="audio_video", video_scale=255, video_mean=(100, 110, 120), video_std=(50, 60, 70),
        audio_mean=0.5, audio_std=0.25,
    )  # fmt: skip
    torch.testing.assert_close(first, (audio - 0.5) / 0.25)
    torch.testing.assert_close(second[:, :, 1], (255 * video[:, :, 1] - 110) / 60)


def test_a_factory_gets_what_it_asks_for() -> None:
    model = load("theirs:with_format")
    assert isinstance(model, Adapter)
    assert model.model.clip_format == FORMAT
    assert load("theirs:Behind.recorder") is not None


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "inside.pt", "parallel.pt"])
def test_weights_are_found_in_every_usual_file(name: str, tmp_path: Path) -> None:
    weight, file = torch.tensor([1.0, 2.0, 3.0]), str(tmp_path / name)
    match name:
        case "weights.safetensors":
            safetensors.torch.save_file({"weight": weight}, file)
        case "weights.pt":
            torch.save({"weight": weight}, file)
        case "inside.pt":
            torch.save({"epoch": 7, "state_dict": {"weight": weight}}, file)
        case _:
            torch.save({"module.weight": weight}, file)
    model = load(weights=file)
    assert isinstance(model, Adapter)
    assert torch.equal(model.model.get_parameter("weight"), weight)
    assert not model.training


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("theirs", "names no factory; write package.module:name"),
        ("nowhere.at.all:Model", "cannot be imported: No module named 'nowhere'"),
        ("theirs:Missing", "cannot be imported: module 'theirs' has no attribute 'Missing'"),
        ("theirs:number", "is a int; allowed: a class or a function"),
        ("theirs:no_module", "returned a int; allowed: a torch.nn.Module"),
        ("theirs:broken", "cannot be called: RuntimeError: no such file: backbone.pt"),
    ],
)
def test_a_factory_that_is_none_is_named(factory: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(factory)


def test_weights_that_do_not_fit_or_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="does not exist"):
        load(weights=str(tmp_path / "gone.pt"))
    (tmp_path / "text.pt").write_text("no tensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name in ("text.pt", "text.safetensors"):
        with pytest.raises(DataError, match="cannot be read: "):
            load(weights=str(tmp_path / name))
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(DataError, match="holds a list; allowed: tensors by name"):
        load(weights=str(tmp_path / "list.pt"))
    torch.save({"weight": torch.zeros(4)}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="do not fit Recorder: "):
        load(weights=str(tmp_path / "other.pt"))


def test_a_model_is_named_by_its_weights_and_their_names() -> None:
    one, same, other = nn.Linear(2, 3), nn.Linear(2, 3), nn.Linear(2, 3)
    same.load_state_dict(one.state_dict())
    assert state_sha256(one) == state_sha256(same) != state_sha256(other)
    assert state_sha256(nn.Sequential(one)) != state_sha256(one)
