from __future__ import annotations

from pathlib import Path

import pytest
import torch

from preprocessing.seeds import seed_of
from tests.training.small_training import build, run_epoch, settings
from training.attacks import PGD
from training.epoch import Step
from training.objectives import PGDAT, FreeAT, Objective, TMACurriculum
from training.optimization import OptimizerConfig

RANDOM = TMACurriculum.model_validate(
    {
        "curriculum": {
            "dropout_ratio": 0.3,
            "mask_ratio": {"name": "piecewise", "points": [[0, 0], [0.5, 0.3], [1, 0.5]]},
            "other_attacks": [{"attack": {"name": "pgd"}, "share": 0.5}],
        }
    }
)


@pytest.mark.parametrize(("name", "objective"), [("adamw", RANDOM), ("sgd", RANDOM), ("adamw", FreeAT(replays=2))])
def test_an_interrupted_training_goes_on_to_the_same_bits(tiny_dataset: Path, name: str, objective: Objective) -> None:
    """Dropout, masking and attacks are random in each epoch and the same when it is done again."""
    config = settings(tiny_dataset, objective=objective, optimizer=OptimizerConfig.model_validate({"name": name}))
    learner = build(config)
    run_epoch(config, learner, 0)
    weights = {key: value.clone() for key, value in learner.classifier.state_dict().items()}
    moments = torch.load(_stored(learner.optimizer.state_dict(), tiny_dataset), weights_only=True)
    expected = run_epoch(config, learner, 1)

    resumed = build(config)
    torch.rand(5)  # another process has drawn other numbers
    resumed.classifier.load_state_dict(weights)
    resumed.optimizer.load_state_dict(moments)
    found = run_epoch(config, resumed, 1)
    assert {key: value for key, value in found.items() if not key.startswith("time/")} == {
        key: value for key, value in expected.items() if not key.startswith("time/")
    }
    for key, value in learner.classifier.state_dict().items():
        assert torch.equal(value, resumed.classifier.state_dict()[key])


def _stored(state: dict[str, object], folder: Path) -> Path:
    path = folder.parent / "moments.pt"
    torch.save(state, path)
    return path


def test_every_replay_is_an_update_at_a_learning_rate_of_its_own(tiny_dataset: Path) -> None:
    """Three batches of two replays are six of twelve updates of the training: progress 0, 1/12, ..., 5/12."""
    config = settings(tiny_dataset, objective=FreeAT(replays=2))
    learner = build(config)
    rates: list[float] = []
    learner.optimizer.register_step_pre_hook(lambda used, *_: rates.append(used.param_groups[0]["lr"]))
    run_epoch(config, learner, 0)
    assert rates == pytest.approx([config.optimizer.rate_at(update / 12) for update in range(6)])
    run_epoch(config, learner, 1)
    assert rates[6:] == pytest.approx([config.optimizer.rate_at(update / 12) for update in range(6, 12)])


def test_an_epoch_tells_the_learning_rate_at_its_end(tiny_dataset: Path) -> None:
    """Without a warm-up it is half way down after the first of two epochs."""
    config = settings(tiny_dataset, optimizer=OptimizerConfig(learning_rate=0.02, warmup=0.0))
    assert run_epoch(config, build(config), 0)["train/learning_rate"] == pytest.approx(0.01)


def test_seeds_differ_by_purpose_epoch_and_worker() -> None:
    seeds = {seed_of(0, "attacks", 1), seed_of(0, "attacks", 2), seed_of(1, "attacks", 1), seed_of(0, "dropout", 1, 0)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"channels_last": True}], ids=str)
def test_precision_and_layout_change_an_epoch_by_rounding_only(tiny_dataset: Path, changes: dict[str, object]) -> None:
    """Weights move by about 1e-3 a step; half of that is left to rounding."""
    found = []
    for each in ({}, changes):
        config = settings(tiny_dataset, objective=PGDAT(attack=PGD(steps=1)), **each)
        learner = build(config)
        metrics = run_epoch(config, learner, 0)
        found.append((metrics["train/loss"], metrics["train/gradient_norm_video"], learner.classifier.state_dict()))
    (loss, norm, weights), (other_loss, other_norm, others) = found
    assert other_loss == pytest.approx(loss, rel=0.02)
    assert other_norm == pytest.approx(norm, rel=0.1)
    assert all(value.dtype == torch.float32 for value in others.values())
    assert max(float((value - others[name]).abs().max()) for name, value in weights.items()) < 0.02


def test_a_step_tells_its_place_and_the_share_of_training_before_it() -> None:
    """The second of three steps of the second of two epochs: four of six are done, and half of the fifth."""
    step = Step(epoch=1, number=1, num_steps=3)
    assert str(step) == "epoch 2, step 2 of 3"
    assert step.progress(2) == pytest.approx(4 / 6)
    assert step.progress(2, share_of_step=0.5) == pytest.approx(4.5 / 6)
