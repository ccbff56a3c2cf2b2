from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.schema import ClipFormat
from training.checkpoint import CheckpointInfo, load_info, save
from training.models import Classifier, ModelConfig
from training.run_folder import Metrics, RunFolder, TrainingOutcome


def score(metrics: Metrics) -> tuple[float, ...]:
    return (metrics["accuracy"],)


def store(folder: RunFolder, model: Classifier, clip_format: ClipFormat, epoch: int, step: int = 0) -> None:
    info = CheckpointInfo(
        model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16),
        clip_format=clip_format,
        classes=("a", "b", "c", "d"),
        dataset_sha256="0" * 64,
        epoch=epoch,
        metrics={},
    )
    save(folder.state(epoch, step), model=model, info=info, config={}, state={})


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


def test_the_newest_step_is_kept_until_its_epoch_is(model: Classifier, clip_format: ClipFormat, tmp_path: Path) -> None:
    """A half-written one, under its temporary name, counts for nothing and is cleared away."""
    folder = RunFolder(tmp_path)
    assert folder.newest() == (0, 0)
    for step in (2, 10):
        store(folder, model, clip_format, 0, step)
        (tmp_path / "steps" / ".000000-000012.half").mkdir()
        assert folder.newest() == (0, step)
        folder.keep_newest_step()
        assert [each.name for each in (tmp_path / "steps").iterdir()] == [f"000000-{step:06d}"]
    store(folder, model, clip_format, 1)
    assert folder.newest() == (1, 0)
    folder.keep_best_and_last([{"accuracy": 0.5}], score=score)
    assert not list((tmp_path / "steps").iterdir())


def test_settings_may_change_until_something_is_stored(
    model: Classifier, clip_format: ClipFormat, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.claim({"seed": 0, "epochs": 2})
    folder.claim({"seed": 1, "epochs": 2})
    store(folder, model, clip_format, 0, step=1)
    folder.claim({"seed": 1, "epochs": 2})
    with pytest.raises(ValueError, match=r"holds a training with other settings(.|\n)*seed: 1 there, 0 now"):
        folder.claim({"seed": 0, "epochs": 2})


def test_a_training_of_an_earlier_version_goes_on_with_the_statistics_that_it_had(
    model: Classifier, clip_format: ClipFormat, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    folder.claim({"seed": 0})
    store(folder, model, clip_format, 0, step=1)
    folder.claim({"seed": 0, "batch_norm": "local"})
    with pytest.raises(ValueError, match="batch_norm: 'local' there, 'synchronised' now"):
        folder.claim({"seed": 0, "batch_norm": "synchronised"})


def test_a_training_is_finished_only_when_it_says_so(
    model: Classifier, clip_format: ClipFormat, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    store(folder, model, clip_format, 1)
    history: list[Metrics] = [{"accuracy": 0.25}]
    folder.keep_best_and_last(history, score=score)
    assert folder.outcome() is None
    folder.finish(TrainingOutcome(history, stopped="enough"))
    assert folder.outcome() == TrainingOutcome(history, stopped="enough")


def test_the_history_can_be_read_from_the_first_epoch_on(
    model: Classifier, clip_format: ClipFormat, tmp_path: Path
) -> None:
    """A new training forgets that of another, whose epochs were removed; a finished one has it in its result."""
    folder = RunFolder(tmp_path)
    assert folder.history() == []
    folder.note([{"epoch": 1.0, "train/loss": 0.1}])
    folder.note([{"epoch": 1.0, "train/loss": 0.1}, {"epoch": 2.0, "train/loss": 1e-9}])
    assert folder.history() == [{"epoch": 1.0, "train/loss": 0.1}, {"epoch": 2.0, "train/loss": 1e-9}]
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2
    folder.claim({"seed": 0})
    assert folder.history() == []
    store(folder, model, clip_format, 1)
    folder.keep_best_and_last([{"accuracy": 0.5}], score=score)
    folder.finish(TrainingOutcome([{"epoch": 1.0}]))
    assert folder.history() == [{"epoch": 1.0}]


@pytest.fixture
def finished(model: Classifier, clip_format: ClipFormat, tmp_path: Path) -> RunFolder:
    """A training of two epochs that is done."""
    folder = RunFolder(tmp_path)
    folder.claim({"seed": 0, "epochs": 2})
    store(folder, model, clip_format, 2)
    folder.keep_best_and_last([{"accuracy": 0.25}, {"accuracy": 0.5}], score=score)
    folder.finish(TrainingOutcome([{"accuracy": 0.25}, {"accuracy": 0.5}]))
    return folder


def test_a_finished_training_may_be_given_more_epochs_and_remembers_how_many_it_had(finished: RunFolder) -> None:
    """Whatever a kill leaves of the change, the same settings make it whole."""
    longer: dict[str, object] = {"seed": 0, "epochs": 4}
    assert finished.lengths_before(longer) == [2]
    finished.result.unlink()  # a kill in the middle of it
    finished.claim(longer)
    assert finished.outcome() is None
    assert finished.lengths_before(longer) == []
    finished.claim(longer)
    assert "earlier_epochs:\n- 2\n" in finished.settings.read_text()


def test_an_unfinished_training_is_finished_first(finished: RunFolder) -> None:
    finished.claim({"seed": 0, "epochs": 4})
    with pytest.raises(ValueError, match=r"epochs: 4 there, 6 now\nOnly a finished training .* with epochs=4 first"):
        finished.claim({"seed": 0, "epochs": 6})


def test_fewer_epochs_and_other_settings_are_told_leaf_by_leaf(finished: RunFolder) -> None:
    with pytest.raises(ValueError, match=r"What differs:\n  epochs: 2 there, 1 now\nOnly a finished training"):
        finished.claim({"seed": 0, "epochs": 1})
    with pytest.raises(ValueError, match=r"What differs:\n  seed: 0 there, 1 now$"):
        finished.claim({"seed": 1, "epochs": 4})
    assert finished.outcome()


def test_more_epochs_are_refused_where_training_would_end_at_once(finished: RunFolder) -> None:
    """Two of four epochs were done."""
    finished.claim({"seed": 0, "epochs": 4})
    finished.finish(TrainingOutcome([{"accuracy": 0.25}, {"accuracy": 0.5}], stopped="nothing gained"))
    with pytest.raises(ValueError, match=r"epochs: 4 there, 6 now\nIt has ended by its own rules, .*: nothing gained$"):
        finished.claim({"seed": 0, "epochs": 6})
