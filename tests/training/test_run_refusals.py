"""Settings and data that cannot be trained with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from preprocessing.cluster.shared_places import landmarks
from tests.training.small_runs import Run, settings
from training.config import TrainConfig
from training.fitting import TrainingStoppedError, fit, worker_resources
from training.models import ModelConfig
from training.objectives import Standard
from training.run import best_in_words, found_in, shared_places, train
from training.run_folder import RunFolder


def test_other_settings_in_the_same_output_are_refused(two_workers: Run) -> None:
    config, _ = two_workers
    other = TrainConfig.model_validate(config.model_dump() | {"epochs": 3, "objective": Standard()})
    with pytest.raises(ValueError, match=r"other settings(.|\n)*epochs: 4 there, 3 now"):
        train(other)


def test_other_data_under_the_same_settings_is_refused(two_workers: Run, tmp_path: Path) -> None:
    config, _ = two_workers
    other = shutil.copytree(config.data, tmp_path / "other")
    index = other / "dataset.json"
    content = yaml.safe_load(index.read_text())["content_sha256"]
    index.write_text(index.read_text().replace(content, "0" * 64))
    with pytest.raises(ValueError, match=r"dataset_sha256: '[0-9a-f]{64}' there, '0{64}' now"):
        train(settings(other, Path(config.output)))


@pytest.mark.slow
def test_a_damaged_shard_ends_training_once_and_for_all(tiny_dataset: Path, tmp_path: Path) -> None:
    """The second worker finds it, the first one hears of it, and Ray does not try again."""
    damaged = shutil.copytree(tiny_dataset, tmp_path / "damaged")
    shard = damaged / "train" / "000001.tar"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(TrainingStoppedError, match=r"training stopped: .*train/000001\.tar' is damaged"):
        train(settings(damaged, tmp_path / "output"))


@pytest.mark.slow
def test_workers_that_do_not_see_the_drivers_places_end_training_once_and_for_all(
    tiny_dataset: Path, tmp_path: Path
) -> None:
    """The driver's token is gone, as it would be on a node that has joined since; Ray does not try again."""
    config = settings(tiny_dataset, tmp_path / "output")
    with landmarks(*shared_places(config)) as known:
        pass
    with pytest.raises(TrainingStoppedError, match=r"output='.*does not see what the driver wrote; name a folder on"):
        fit(config, worker_resources(config), [], known)


def test_what_is_found_is_told_before_work(two_workers: Run, tmp_path: Path) -> None:
    """Of a new, a begun and a finished training."""
    config, result = two_workers
    assert found_in(RunFolder(tmp_path), config) == f"a new training of 4 epochs, in '{tmp_path}'"
    finished = RunFolder(Path(config.output))
    assert found_in(finished, config) == f"'{config.output}' holds this training, finished after 4 epochs"
    begun = RunFolder(tmp_path / "begun")
    shutil.copytree(finished.path, begun.path)
    begun.result.unlink()
    assert found_in(begun, config) == (
        f"'{begun.path}' holds 4 of 4 epochs, going on from there ({best_in_words(result.history, config)})"
    )
    assert best_in_words(result.history, config).startswith(f"best epoch {result.best['epoch']:.0f}: validation clean ")


def test_what_cannot_work_is_refused_before_work(tiny_dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with pytest.raises(ValueError, match="batch_size=64, but there are only 24 training clips"):
        train(settings(tiny_dataset, output, batch_size=64))
    with pytest.raises(ValueError, match=r"4 workers with 1 CPU each: Ray has 2 CPU in all .*lower workers"):
        train(settings(tiny_dataset, output, workers=4))
    with pytest.raises(ValueError, match="is a URL; it must be a folder"):
        train(settings(tiny_dataset, output).model_copy(update={"output": "s3://bucket/run"}))
    with pytest.raises(ValueError, match="not a finished data set"):
        train(settings(tmp_path, output))


def test_a_data_set_whose_address_holds_a_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="credentials must come from the environment"):
        settings("ftp://user:password@host/shards", tmp_path)


def test_weights_that_cannot_be_read_are_refused_before_any_worker_starts(tiny_dataset: Path, tmp_path: Path) -> None:
    model = ModelConfig(video_encoder="tiny", audio_encoder="tiny", video_weights=str(tmp_path / "missing.pt"))
    with pytest.raises(ValueError, match=r"the weights '.*missing\.pt' are no file"):
        train(settings(tiny_dataset, tmp_path / "run", model=model))
    assert not (tmp_path / "run").exists()
