from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.attacks import PGD
from training.config import TrainConfig, ValidationConfig
from training.data import open_split
from training.loop import (
    NonFiniteGradientError,
    progress_line,
    seed_of,
    train_epoch,
    validate,
)
from training.models import Classifier, ModelConfig
from training.objectives import PGDAT, FreeAT, Objective, Standard, TMACurriculum
from training.optimization import OptimizerConfig
from training.run_folder import Metrics
from training.threat import ThreatModel
from training.worker import Worker

ALONE = Worker(rank=0, world_size=1, device=torch.device("cpu"))


def settings(data: Path, **changes: object) -> TrainConfig:
    """Two epochs of 3 steps."""
    values = {
        "data": str(data),
        "output": "unused",
        "model": ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16),
        "epochs": 2,
        "batch_size": 8,
        "objective": Standard(),
        "validation": ValidationConfig(attacks=(PGD(steps=1),)),
        **changes,
    }
    return TrainConfig.model_validate(values)


def build(config: TrainConfig) -> tuple[Classifier, torch.optim.Optimizer]:
    split = open_split(config.data, "train")
    torch.manual_seed(config.seed)
    model = config.model.build(split.index.format, len(split.index.classes))
    return model, config.optimizer.build(model)


def run_epoch(config: TrainConfig, model: Classifier, optimizer: torch.optim.Optimizer, epoch: int) -> Metrics:
    return train_epoch(config, open_split(config.data, "train"), model, optimizer, ALONE, epoch=epoch)


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
    model, optimizer = build(config)
    run_epoch(config, model, optimizer, 0)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    moments = optimizer.state_dict()
    moments = torch.load(_stored(moments, tiny_dataset), weights_only=True)
    expected = run_epoch(config, model, optimizer, 1)

    resumed, resumed_optimizer = build(config)
    torch.rand(5)  # another process has drawn other numbers
    resumed.load_state_dict(weights)
    resumed_optimizer.load_state_dict(moments)
    found = run_epoch(config, resumed, resumed_optimizer, 1)
    assert {key: value for key, value in found.items() if not key.startswith("time/")} == {
        key: value for key, value in expected.items() if not key.startswith("time/")
    }
    for key, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])


def _stored(state: dict[str, object], folder: Path) -> Path:
    path = folder.parent / "moments.pt"
    torch.save(state, path)
    return path


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_touched(tiny_dataset: Path) -> None:
    config = settings(tiny_dataset, gradient_clip=None)
    model, optimizer = build(config)
    with torch.no_grad():
        next(model.fusion.parameters()).view(-1)[0] = float("nan")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(NonFiniteGradientError, match="epoch 2, step 1 of 3: the gradient has length nan, the loss is"):
        run_epoch(config, model, optimizer, 1)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) or value.isnan().any()


def test_the_gradient_is_clipped_and_its_full_length_reported(tiny_dataset: Path) -> None:
    """Gradient descent at rate 1 with gradients of length 0.001 moves the weights by 0.003 in three steps at most."""
    config = settings(
        tiny_dataset,
        gradient_clip=1e-3,
        optimizer=OptimizerConfig(name="sgd", learning_rate=1.0, weight_decay=0.0, warmup=0.0),
    )
    model, _ = build(config)
    before = {key: value.clone() for key, value in model.named_parameters()}
    plain = torch.optim.SGD(model.parameters(), lr=1.0)
    metrics = run_epoch(config, model, plain, 0)
    moved = torch.cat([(value - before[key]).flatten() for key, value in model.named_parameters()]).norm()
    assert 0 < float(moved.detach()) <= 3e-3 * 1.01
    assert metrics["train/gradient_norm"] > 1e-3


def test_every_replay_is_an_update_at_a_learning_rate_of_its_own(tiny_dataset: Path) -> None:
    """Three batches of two replays are six of twelve updates of the training: progress 0, 1/12, ..., 5/12."""
    config = settings(tiny_dataset, objective=FreeAT(replays=2))
    model, optimizer = build(config)
    rates: list[float] = []
    optimizer.register_step_pre_hook(lambda used, *_: rates.append(used.param_groups[0]["lr"]))
    run_epoch(config, model, optimizer, 0)
    assert rates == pytest.approx([config.optimizer.rate_at(update / 12) for update in range(6)])
    run_epoch(config, model, optimizer, 1)
    assert rates[6:] == pytest.approx([config.optimizer.rate_at(update / 12) for update in range(6, 12)])


def test_an_epoch_tells_the_learning_rate_at_its_end(tiny_dataset: Path) -> None:
    """Without a warm-up it is half way down after the first of two epochs."""
    config = settings(tiny_dataset, optimizer=OptimizerConfig(learning_rate=0.02, warmup=0.0))
    assert run_epoch(config, *build(config), 0)["train/learning_rate"] == pytest.approx(0.01)


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_validation_shared_among_workers_judges_the_same(tiny_dataset: Path, world_size: int) -> None:
    """8 clips: the weighted mean of what each worker finds by itself is what one worker finds."""
    config = settings(tiny_dataset)
    model, _ = build(config)
    split = open_split(config.data, "validation")
    alone = validate(config, split, model, ALONE)
    right = 0.0
    for rank in range(world_size):
        num_clips = (rank + 1) * 8 // world_size - rank * 8 // world_size
        shared = validate(config, split, model, Worker(rank, world_size, torch.device("cpu")))
        right += shared["validation/robust_accuracy"] * num_clips
    assert right / 8 == pytest.approx(alone["validation/robust_accuracy"])


def test_a_clip_is_robust_only_if_it_withstands_every_attack(tiny_dataset: Path) -> None:
    model, _ = build(settings(tiny_dataset))
    split = open_split(str(tiny_dataset), "validation")
    threat = ThreatModel(video=0.2, audio=0.2)

    def robust_accuracy(*attacks: PGD) -> float:
        config = settings(tiny_dataset, validation=ValidationConfig(attacks=attacks, threat=threat))
        return validate(config, split, model, ALONE)["validation/robust_accuracy"]

    weak, strong = PGD(steps=1), PGD(steps=5)
    assert robust_accuracy(weak, strong) <= min(robust_accuracy(weak), robust_accuracy(strong))


def test_a_limit_judges_the_first_clips_only(tiny_dataset: Path) -> None:
    config = settings(tiny_dataset, validation=ValidationConfig(attacks=(PGD(steps=1),), limit=1))
    model, _ = build(config)
    found = validate(config, open_split(config.data, "validation"), model, ALONE)
    assert found["validation/clean_accuracy"] in (0.0, 1.0)


def test_a_clip_without_finite_scores_is_wrong(tiny_dataset: Path) -> None:
    """torch takes a NaN for the largest score, which would make every clip of the first class right.

    The metrics stay finite numbers: a checkpoint holds no others.
    """
    model, _ = build(settings(tiny_dataset))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    found = validate(settings(tiny_dataset), open_split(str(tiny_dataset), "validation"), model, ALONE)
    assert found == dict.fromkeys(
        (
            "validation/clean_accuracy",
            "validation/robust_accuracy",
            "validation/modality_gap",
            "validation/modality_agreement",
        ),
        0.0,
    )


def test_the_progress_line_says_all_that_matters() -> None:
    """Two of six epochs took 8 and 12 s, so four more take 40 s."""
    metrics = {
        "train/loss": 1.25,
        "validation/clean_accuracy": 0.915,
        "validation/robust_accuracy": 0.5,
        "time/clips_per_second": 123.45,
    }
    history = [metrics | {"time/epoch_seconds": seconds} for seconds in (8.0, 12.0)]
    line = "epoch 2/6: loss 1.250, validation clean 91.5%, robust 50.0%, 123.5 clips/s, 40 s left"
    assert progress_line(history, num_epochs=6) == line.replace("123.5", f"{123.45:.1f}")


def test_seeds_differ_by_purpose_epoch_and_worker() -> None:
    seeds = {seed_of(0, "attacks", 1), seed_of(0, "attacks", 2), seed_of(1, "attacks", 1), seed_of(0, "dropout", 1, 0)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"channels_last": True}], ids=str)
def test_precision_and_layout_change_an_epoch_by_rounding_only(tiny_dataset: Path, changes: dict[str, object]) -> None:
    """Weights move by about 1e-3 a step; half of that is left to rounding."""
    split = open_split(str(tiny_dataset), "train")
    found = []
    for each in ({}, changes):
        config = settings(tiny_dataset, objective=PGDAT(attack=PGD(steps=1)), **each)
        torch.manual_seed(0)
        model = config.build_model(split.index.format, len(split.index.classes))
        metrics = train_epoch(config, split, model, config.optimizer.build(model), ALONE, epoch=0)
        found.append((metrics["train/loss"], metrics["train/gradient_norm_video"], model.state_dict()))
    (loss, norm, weights), (other_loss, other_norm, others) = found
    assert other_loss == pytest.approx(loss, rel=0.02)
    assert other_norm == pytest.approx(norm, rel=0.1)
    assert all(value.dtype == torch.float32 for value in others.values())
    assert max(float((value - others[name]).abs().max()) for name, value in weights.items()) < 0.02
