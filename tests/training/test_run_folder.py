from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.schema import ClipFormat
from training.checkpoint import CheckpointInfo, load_info, save
from training.models import Classifier, ModelConfig
from training.run_folder import Metrics, RunFolder


def score(metrics: Metrics) -> tuple[float, ...]:
    return (metrics["accuracy"],)


def store(folder: RunFolder, model: Classifier, clip_format: ClipFormat, epoch: int) -> None:
    info = CheckpointInfo(
        model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16),
        clip_format=clip_format,
        classes=("a", "b", "c", "d"),
        dataset_sha256="0" * 64,
        epoch=epoch,
        metrics={},
    )
    save(folder.epoch(epoch), model=model, info=info, config={}, state={})


def test_the_best_and_the_newest_epoch_are_kept(model: Classifier, clip_format: ClipFormat, tmp_path: Path) -> None:
    """Epoch 2 is best until epoch 4 equals it: of equals the latest counts."""
    folder = RunFolder(tmp_path)
    history: list[Metrics] = []
    expected = [([1], 1), ([2], 2), ([2, 3], 2), ([4], 4), ([4, 5], 4)]
    for epoch, (accuracy, (kept, best)) in enumerate(zip((0.1, 0.5, 0.4, 0.5, 0.2), expected, strict=True), start=1):
        store(folder, model, clip_format, epoch)
        history.append({"accuracy": accuracy})
        assert folder.keep_best_and_last(history, score=score) == history[best - 1]
        assert folder.epochs() == kept
        assert load_info(folder.checkpoint).epoch == best


def test_what_was_interrupted_is_cleared_away(model: Classifier, clip_format: ClipFormat, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    store(folder, model, clip_format, 1)
    (tmp_path / "epochs" / ".000002.half").mkdir()
    assert folder.epochs() == [1]
    folder.keep_best_and_last([{"accuracy": 0.5}], score=score)
    assert [each.name for each in (tmp_path / "epochs").iterdir()] == ["000001"]


def test_settings_may_change_until_an_epoch_is_stored(
    model: Classifier, clip_format: ClipFormat, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.claim({"seed": 0, "epochs": 2})
    folder.claim({"seed": 1, "epochs": 2})
    store(folder, model, clip_format, 1)
    folder.claim({"seed": 1, "epochs": 2})
    with pytest.raises(ValueError, match=r"holds a training with other settings(.|\n)*seed: there 1, asked for 0"):
        folder.claim({"seed": 0, "epochs": 2})


def test_a_history_is_finished_only_when_it_says_so(model: Classifier, clip_format: ClipFormat, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    store(folder, model, clip_format, 1)
    history: list[Metrics] = [{"accuracy": 0.25}]
    folder.keep_best_and_last(history, score=score)
    assert folder.finished_history() is None
    folder.finish(history)
    assert folder.finished_history() == history
