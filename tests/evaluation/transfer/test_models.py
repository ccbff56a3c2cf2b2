from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from evaluation.transfer.config import TransferConfig
from evaluation.transfer.measurement import NamedModels
from evaluation.transfer.models import answers_of, load_models
from evaluation.transfer.surrogates import surrogates_of
from preprocessing.errors import DataError, SettingsError
from preprocessing.storage.records import load_index
from training.models.adapters import Adapter
from training.models.classifier import Outputs


class Bands(nn.Module):
    """A stranger's model: the means of the mel bands."""

    def __init__(self, num_classes: int, num_mels: int = 32) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.linear = nn.Linear(num_mels, num_classes)

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        logits: Tensor = self.linear(audio.mean((1, 3)))
        return logits


class TwoClasses(Bands):
    """One that knows two classes, whatever it is told."""

    def __init__(self) -> None:
        super().__init__(2)


class Featured(nn.Module):
    """Features of some number of segments."""

    def __init__(self, num_segments: int) -> None:
        super().__init__()
        self.num_segments = num_segments

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        features = torch.zeros(len(video), self.num_segments, 4)
        return Outputs(torch.zeros(len(video), 4), features, features)


def config_of(data: Path, **changes: object) -> TransferConfig:
    return TransferConfig.model_validate({"data": str(data), "output": "o", **changes})


def test_checkpoints_and_models_of_other_makers_are_loaded_together(
    tiny_dataset: Path, checkpoints: tuple[str, ...]
) -> None:
    theirs = {"model": f"{__name__}:Bands"}
    config = config_of(tiny_dataset, checkpoint=checkpoints[:1], models={"two": checkpoints[1], "theirs": theirs})
    loaded = load_models(config, load_index(str(tiny_dataset)))
    assert list(loaded.victims) == ["one", "two", "theirs"]
    assert [fact.place for fact in loaded.facts] == [*checkpoints[:2], f"{__name__}:Bands"]
    assert isinstance(loaded.for_tasks.models["theirs"], Adapter)
    assert len(set(loaded.for_tasks.sha256.values())) == 3


def test_what_cannot_be_compared_is_refused(tiny_dataset: Path, checkpoints: tuple[str, ...], tmp_path: Path) -> None:
    index = load_index(str(tiny_dataset))
    same = config_of(tiny_dataset, models={"a": checkpoints[0], "b": checkpoints[0]})
    with pytest.raises(DataError, match=r"'a' \(.*\) and 'b' \(.*\) have the same weights"):
        load_models(same, index)
    two = config_of(tiny_dataset, models={"a": checkpoints[0], "b": {"model": f"{__name__}:TwoClasses"}})
    with pytest.raises(DataError, match="tells 2 classes apart, the data set has 4"):
        load_models(two, index)
    renamed = index.model_copy(update={"classes": index.classes[::-1]})
    with pytest.raises(DataError, match=r"knows the classes .*: they must be the same, in the same order"):
        load_models(config_of(tiny_dataset, checkpoint=checkpoints[:2]), renamed)
    none = config_of(tiny_dataset, checkpoint=(checkpoints[0], str(tmp_path)))
    with pytest.raises(DataError, match="is not a checkpoint"):
        load_models(none, index)


def test_models_whose_features_do_not_fit_together_are_named(tiny_dataset: Path) -> None:
    index = load_index(str(tiny_dataset))
    config = config_of(tiny_dataset, models={"a": "a", "b": "b"}, ensembles=[["a", "b"]])
    models = NamedModels({"a": Featured(3), "b": Featured(4)}, {"a": "1", "b": "2"})
    surrogates = surrogates_of(["a", "b"], ["a", "b"], [["a", "b"]])
    assert list(answers_of(surrogates[:2], models, index, config)) == ["a", "b"]
    with pytest.raises(SettingsError, match=r"a\+b cannot be attacked together: .*video_features of \[3, 4\] segments"):
        answers_of(surrogates, models, index, config)
