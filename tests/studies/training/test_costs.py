from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.clips import write_clips
from pipeline.settings.load import override
from preprocessing.schema import ClipFormat
from studies.training.costs import Cost, cpu_seconds, timed_epochs, validation_passes, whole_over_timed
from training.config import TrainConfig
from training.data import StoredSplit, open_split
from training.models import ModelConfig
from training.objectives import Standard, TMACurriculum

CLIP_FORMAT = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)


@pytest.fixture
def split(tmp_path: Path) -> StoredSplit:
    write_clips(tmp_path / "data", CLIP_FORMAT, num_train=8, num_validation=4)
    return open_split(str(tmp_path / "data"), "train")


@pytest.fixture
def config(split: StoredSplit) -> TrainConfig:
    return TrainConfig(
        data=split.root,
        output="unused",
        objective=Standard(),
        model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=8),
        epochs=20,
        batch_size=4,
    )


def test_the_middle_of_every_part_is_timed() -> None:
    assert timed_epochs(20) == [2, 6, 10, 14, 18]
    assert timed_epochs(5) == [0, 1, 2, 3, 4]
    assert timed_epochs(1) == [0, 0, 0, 0, 0]


def test_a_training_of_equal_epochs_costs_their_number(config: TrainConfig, split: StoredSplit) -> None:
    """Five of twenty are timed."""
    assert whole_over_timed(config, split) == 4.0


def test_a_curriculum_that_is_dear_between_the_timed_epochs_is_brought_to_its_whole(
    config: TrainConfig, split: StoredSplit
) -> None:
    """Ten steps in the last epoch alone, which is not timed: 2 x 19 + 11 passes a clip where 2 x 5 are timed."""
    steps = {"name": "step", "levels": [1, 10], "starts": [0.0, 0.95]}
    curriculum = override(TMACurriculum(), {"curriculum.attack_steps": steps, "curriculum.sampling_ratio": 1.0})
    late = config.model_copy(update={"objective": curriculum})
    assert whole_over_timed(late, split) == pytest.approx((2 * 19 + 11) / 10)


def test_validation_looks_at_every_clip_once_and_once_more_after_each_attack(config: TrainConfig) -> None:
    """PGD-3 and PGD-5: 3 + 5 passes backward and 3 looks more forward, of 50 of 100 clips, in each of 20 epochs."""
    validated = override(
        config,
        {"validation.attacks": [{"name": "pgd", "steps": 3}, {"name": "pgd", "steps": 5}], "validation.limit": 50},
    )
    assert validation_passes(validated, num_train=200, num_validation=100) == 20 * 50 / 200 * (8 + 8 + 3) / 2
    assert validation_passes(validated, num_train=200, num_validation=40) == 20 * 40 / 200 * (8 + 8 + 3) / 2


def test_costs_add_up() -> None:
    assert (Cost(1, 2) + Cost(3, 4)).total == 10


def test_every_training_has_its_own_cost(config: TrainConfig) -> None:
    attacked = config.model_copy(update={"objective": TMACurriculum(), "epochs": 1})
    found = cpu_seconds({"standard": config.model_copy(update={"epochs": 1}), "curriculum": attacked})
    assert list(found) == ["standard", "curriculum"]
    assert all(min(cost.training, cost.validation) > 0.0 for cost in found.values())
