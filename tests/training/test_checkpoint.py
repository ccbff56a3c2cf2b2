from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from preprocessing.errors import DataError
from training.batch import Batch
from training.checkpoint import (
    CheckpointError,
    CheckpointInfo,
    copy_for_use,
    load_info,
    load_model,
    load_state,
    model_sha256,
    save,
)
from training.models import Classifier, ModelConfig


def test_a_model_comes_back_as_it_was(model: Classifier, info: CheckpointInfo, batch: Batch, tmp_path: Path) -> None:
    save(tmp_path / "it", model=model, info=info, config={"seed": 1}, state={})
    loaded, found = load_model(tmp_path / "it")
    assert found == info
    assert not loaded.training
    model.eval()
    with torch.no_grad():
        expected = model(batch.video, batch.audio).logits
        assert torch.equal(loaded(batch.video, batch.audio).logits, expected)


def test_a_model_comes_back_when_the_weights_it_once_started_from_are_gone(
    model: Classifier, info: CheckpointInfo, tmp_path: Path
) -> None:
    started = info.model.model_dump() | {
        "video_weights": str(tmp_path / "gone.pt"),
        "audio_weights": "gone.safetensors",
    }
    changed = info.model_copy(update={"model": ModelConfig.model_validate(started)})
    save(tmp_path / "it", model=model, info=changed, config={}, state={})
    loaded, found = load_model(tmp_path / "it")
    assert found.model == changed.model
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


def test_optimizer_state_and_history_come_back(model: Classifier, info: CheckpointInfo, tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW(model.parameters())
    sum(value.sum() for value in model.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    state = {"optimizer": optimizer.state_dict(), "history": [{"epoch": 1.0}]}
    save(tmp_path / "it", model=model, info=info, config={}, state=state)
    found = load_state(tmp_path / "it")
    assert found["history"] == [{"epoch": 1.0}]
    again = torch.optim.AdamW(model.parameters())
    again.load_state_dict(found["optimizer"])
    first = next(iter(model.parameters()))
    assert torch.equal(again.state[first]["exp_avg"], optimizer.state[first]["exp_avg"])


def test_nothing_is_unpickled(model: Classifier, info: CheckpointInfo, tmp_path: Path) -> None:
    """A state file that would run code is refused by torch's own loader."""
    save(tmp_path / "it", model=model, info=info, config={}, state={})
    torch.save({"history": Path("/")}, tmp_path / "it" / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt' cannot be read: Weights only load failed"):
        load_state(tmp_path / "it")


def test_a_checkpoint_replaces_an_older_one_and_leaves_nothing_else(
    model: Classifier, info: CheckpointInfo, tmp_path: Path
) -> None:
    for seed in (1, 2):
        save(tmp_path / "it", model=model, info=info, config={"seed": seed}, state={})
    assert [each.name for each in tmp_path.iterdir()] == ["it"]
    assert sorted(each.name for each in (tmp_path / "it").iterdir()) == [
        "config.yaml",
        "format.json",
        "model.safetensors",
        "state.pt",
    ]
    assert (tmp_path / "it" / "config.yaml").read_text() == "seed: 2\n"


def test_the_hash_names_the_weights(model: Classifier, info: CheckpointInfo, tmp_path: Path) -> None:
    save(tmp_path / "one", model=model, info=info, config={}, state={})
    save(tmp_path / "same", model=model, info=info, config={"seed": 1}, state={})
    with torch.no_grad():
        next(iter(model.parameters())).view(-1)[0] += 1
    save(tmp_path / "other", model=model, info=info, config={}, state={})
    assert model_sha256(tmp_path / "one") == model_sha256(tmp_path / "same") != model_sha256(tmp_path / "other")


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not a checkpoint: it has no format\.json"):
        load_info(tmp_path)


def test_another_format_version_is_refused(model: Classifier, info: CheckpointInfo, tmp_path: Path) -> None:
    save(tmp_path / "it", model=model, info=info, config={}, state={})
    path = tmp_path / "it" / "format.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(DataError, match="has format version 99, this code reads 1 to 2: a later version"):
        load_info(tmp_path / "it")


def test_weights_of_another_model_are_refused(model: Classifier, info: CheckpointInfo, tmp_path: Path) -> None:
    save(tmp_path / "it", model=model, info=info, config={}, state={})
    safetensors.torch.save_file({"other": torch.zeros(1)}, tmp_path / "it" / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"the weights in '.*it' do not fit its model"):
        load_model(tmp_path / "it")


def test_a_copy_for_use_has_the_model_and_not_the_state(
    model: Classifier, info: CheckpointInfo, tmp_path: Path
) -> None:
    """The optimizer's moments are twice the weights."""
    save(tmp_path / "it", model=model, info=info, config={"seed": 1}, state={"moments": torch.zeros(10_000)})
    copy_for_use(tmp_path / "it", tmp_path / "copy")
    assert {each.name for each in (tmp_path / "copy").iterdir()} == {"model.safetensors", "config.yaml", "format.json"}
    _, found = load_model(tmp_path / "copy")
    assert found == info
    assert model_sha256(tmp_path / "copy") == model_sha256(tmp_path / "it")
    with pytest.raises(CheckpointError, match="training's state"):
        load_state(tmp_path / "copy")
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        copy_for_use(tmp_path / "none", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
