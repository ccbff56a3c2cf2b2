"""Models of other makers: what they may return, and whole evaluations of them by name and in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from evaluation.api import evaluate_model
from evaluation.config import EvaluateConfig
from evaluation.reporting.report import Report
from evaluation.run import evaluate, verify
from evaluation.victim import load_victim
from preprocessing.errors import DataError, SettingsError
from preprocessing.schema import DatasetIndex
from preprocessing.storage.records import load_index
from tests.evaluation.evaluations import settings
from training.attacks import FGSM, PGD
from training.models.adapters import Adapter


class Theirs(nn.Module):
    """Means of the frames' colours and of the mel bands; it takes one spectrogram per clip first."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.sight, self.sound = nn.Linear(3, num_classes), nn.LazyLinear(num_classes)

    def forward(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        logits: Tensor = self.sight(frames.mean((2, 3, 4))) * 9 + self.sound(spectrogram.mean(2))
        return logits


class Returning(nn.Module):
    """Returns whatever it was told to."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, video: Tensor, audio: Tensor) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def index(tiny_dataset: Path) -> DatasetIndex:
    return load_index(str(tiny_dataset))


@pytest.fixture
def config(tiny_dataset: Path) -> EvaluateConfig:
    return settings(Path("c"), tiny_dataset, Path("o"))


def test_plain_logits_are_enough(config: EvaluateConfig, index: DatasetIndex) -> None:
    victim = load_victim(config, index, Returning(torch.zeros(1, len(index.classes))))
    assert isinstance(victim.model, Adapter)
    assert not victim.model.training


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (torch.zeros(1, 4, dtype=torch.long), r"Returning returned torch.int64; allowed: logits in floating point"),
        (torch.zeros(1), r"returned a tensor of shape \[1\] for one clip; allowed: logits \[1, classes\]"),
        ({"scores": 1}, "returned a dict for one clip"),
        (RuntimeError("mat1 and mat2"), r"cannot be called with frames and audio of shapes \[1, 4, 3, .*mat1 and mat2"),
    ],
)
def test_an_answer_that_is_none_is_named(
    answer: object, message: str, config: EvaluateConfig, index: DatasetIndex
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_victim(config, index, Returning(answer))


def test_other_classes_are_named(config: EvaluateConfig, index: DatasetIndex) -> None:
    with pytest.raises(DataError, match=rf"tells 77 classes apart, the data set has {len(index.classes)}"):
        load_victim(config, index, Returning(torch.zeros(1, 77)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "a:b"}, "checkpoint and model name two models; leave one of them out"),
        ({"weights": "w.pt"}, "weights and model_input are for model="),
        ({"model_input": {"order": "audio_video"}}, "weights and model_input are for model="),
    ],
)
def test_there_is_one_model(changes: dict[str, object], message: str, config: EvaluateConfig) -> None:
    with pytest.raises(ValueError, match=message):
        EvaluateConfig.model_validate(config.model_dump() | changes)


def test_a_model_must_be_named(config: EvaluateConfig, index: DatasetIndex) -> None:
    with pytest.raises(SettingsError, match="give checkpoint=DIR, or model="):
        load_victim(config.model_copy(update={"checkpoint": None}), index)


def test_a_model_by_name_has_the_same_report_as_one_in_memory(
    tiny_dataset: Path, index: DatasetIndex, tmp_path: Path
) -> None:
    """Through its file of weights, and handed over: the same numbers; the first can be tried again by `verify`."""
    their = Theirs(len(index.classes))
    their(torch.zeros(1, index.format.num_mels, 9), torch.zeros(1, 3, 4, 8, 8))
    torch.save({"state_dict": their.state_dict()}, tmp_path / "weights.pt")
    form = {"order": "audio_video", "audio": "per_clip", "video": "channels_time"}
    shared = {"attacks": (FGSM(), PGD(steps=2)), "curve": (1.0,), "num_resamples": 20, "workers": 1}
    by_name = {"checkpoint": None, "model": f"{__name__}:Theirs", "weights": str(tmp_path / "weights.pt")}
    base = settings(Path("c"), tiny_dataset, tmp_path / "named").model_dump()
    named = evaluate(EvaluateConfig.model_validate(base | by_name | shared | {"model_input": form}))
    assert verify(tmp_path / "named") == []
    assert named.model_name == "Theirs"

    class Wrapped(Adapter):
        def call(self, video: Tensor, audio: Tensor) -> Tensor:
            found: Tensor = self.model(audio.transpose(1, 2).flatten(2), video.transpose(1, 2))
            return found

    common = {name: getattr(named.config, name) for name in ("threat", "reference_attack", "split", "batch_size")}
    wrapped = Wrapped(their).train()
    in_memory = evaluate_model(wrapped, str(tiny_dataset), output=str(tmp_path / "memory"), **common, **shared)
    assert wrapped.training
    assert numbers(in_memory) == numbers(named)
    assert verify(tmp_path / "memory") == []


def numbers(report: Report) -> list[tuple[str, float]]:
    return [("clean", report.clean_accuracy), *((each.name, each.robust_accuracy) for each in report.attacks)]
