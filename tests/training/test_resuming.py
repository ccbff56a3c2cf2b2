from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from tests.training import small_training
from training.checkpoint import load_model
from training.config import TrainConfig
from training.data import open_split
from training.epoch import train_epoch
from training.learner import Learner
from training.loop import where_the_last_state_lies
from training.metrics import Sums
from training.models import ModelConfig
from training.objectives import TRADES, FreeAT, Objective, TMACurriculum
from training.optimization import OptimizerConfig
from training.resuming import PartialEpoch, StateStore
from training.run_folder import Metrics, RunFolder
from training.workers.worker import ALONE, Worker

RANDOM = TMACurriculum.model_validate({"curriculum": {"dropout_ratio": 0.3, "mask_ratio": 0.3}})
GROWING = TRADES.model_validate(
    {
        "curriculum": {
            "epsilon_factor": {"name": "linear", "start": 0.5, "end": 2.0},
            "sampling_ratio": {"name": "linear", "start": 0.25, "end": 1.0},
            "attack_steps": {"name": "linear", "start": 1, "end": 3},
        }
    }
)


class InterruptionError(Exception):
    """Stands for the end of a process."""


def settings(data: Path, output: Path, **changes: object) -> TrainConfig:
    """Epochs of 6 steps."""
    return small_training.settings(data, **{"output": str(output), "batch_size": 4, "checkpoint_every": 2, **changes})


def store_of(config: TrainConfig, worker: Worker = ALONE) -> StateStore:
    split = open_split(config.data, "train")
    Path(config.output).mkdir(parents=True, exist_ok=True)
    RunFolder(Path(config.output)).settings.touch()
    return StateStore(config, split, Learner.of(config, split), worker)


def rest_of_epoch(
    store: StateStore, partial_epoch: PartialEpoch, *, history: Sequence[Metrics] = (), interrupted_after: int = 99
) -> Metrics:
    """The epoch after `history` from `begun` on, without its times; every second step is kept."""

    def keep_step(partial_epoch: PartialEpoch) -> None:
        store.keep_step(list(history), partial_epoch)
        if partial_epoch.step >= interrupted_after:
            raise InterruptionError

    train = partial(train_epoch, store.config, store.split, store.learner, store.worker, epoch=len(history))
    metrics = train(partial_epoch=partial_epoch, keep_step=keep_step)
    return {name: value for name, value in metrics.items() if not name.startswith("time/")}


@pytest.mark.parametrize(("name", "objective"), [("adamw", RANDOM), ("sgd", FreeAT(replays=2)), ("sgd", GROWING)])
def test_an_epoch_interrupted_midway_goes_on_to_the_same_bits(
    tiny_dataset: Path, tmp_path: Path, name: str, objective: Objective
) -> None:
    """Weights, and every metric of the whole epoch; dropout, masking and attacks are random."""
    optimizer = OptimizerConfig.model_validate({"name": name, "average_decay": 0.5 if name == "adamw" else None})
    whole = store_of(
        settings(tiny_dataset, tmp_path / "whole", objective=objective, optimizer=optimizer, checkpoint_every=None)
    )
    expected = rest_of_epoch(whole, PartialEpoch())
    config = settings(tiny_dataset, tmp_path / "cut", objective=objective, optimizer=optimizer)
    with pytest.raises(InterruptionError):
        rest_of_epoch(store_of(config), PartialEpoch(), interrupted_after=4)
    torch.rand(5)  # another process has drawn other numbers
    resumed = store_of(config)
    progress = resumed.resume()
    assert (progress.epochs, progress.resumed_from, progress.resumed_step) == (0, 0, 4)
    assert rest_of_epoch(resumed, progress.partial_epoch) == expected
    assert all(
        torch.equal(value, resumed.learner.classifier.state_dict()[key])
        for key, value in whole.learner.classifier.state_dict().items()
    )
    assert all(
        torch.equal(value, resumed.learner.exported_model.state_dict()[key])
        for key, value in whole.learner.exported_model.state_dict().items()
    )


def scored(metrics: Metrics, robust_accuracy: float) -> Metrics:
    return metrics | {"validation/robust_accuracy": robust_accuracy, "validation/clean_accuracy": 1.0}


def weights_of(store: StateStore) -> dict[str, torch.Tensor]:
    return store.learner.classifier.state_dict()


def test_the_stored_model_is_the_averaged_one(tiny_dataset: Path, tmp_path: Path) -> None:
    store = store_of(settings(tiny_dataset, tmp_path, optimizer=OptimizerConfig(average_decay=0.9)))
    rest_of_epoch(store, PartialEpoch())
    store.keep_step([], PartialEpoch(step=5))
    found = load_model(store.folder.state(0, 5))[0].state_dict()
    assert store.learner.average
    assert all(torch.equal(value, found[name]) for name, value in store.learner.average.model.state_dict().items())
    assert any(not torch.equal(value, found[name]) for name, value in store.learner.classifier.state_dict().items())


def test_a_step_tells_nothing_of_an_epoch_that_was_never_stored(tiny_dataset: Path, tmp_path: Path) -> None:
    """A state of the second epoch's middle is no use without the first, whose folder is lost."""
    store = store_of(settings(tiny_dataset, tmp_path))
    store.keep_step([{"epoch": 1.0}], PartialEpoch(step=2))
    assert store.resume().resumed_step == 0


def test_the_last_state_is_named_where_there_is_one(tiny_dataset: Path, tmp_path: Path) -> None:
    store = store_of(settings(tiny_dataset, tmp_path))
    assert where_the_last_state_lies(store.folder) == "no checkpoint was stored before it"
    store.keep_step([], PartialEpoch(step=2))
    assert where_the_last_state_lies(store.folder) == (
        f"the last checkpoint before it, after 0 epochs and 2 steps, is '{tmp_path}/steps/000000-000002'"
    )


def test_going_back_gives_weights_and_moments_of_the_best_epoch(tiny_dataset: Path, tmp_path: Path) -> None:
    """The first of two epochs is the best; the second one's weights and moments are forgotten."""
    store = store_of(settings(tiny_dataset, tmp_path))
    history: list[Metrics] = []
    states = []
    for accuracy in (0.75, 0.25):
        history.append(scored(rest_of_epoch(store, PartialEpoch(), history=history), accuracy))
        store.keep_epoch(history)
        states.append((_copy_of(weights_of(store)), _moments_of(store)))
    store.roll_back(history)
    for found, best, last in zip((weights_of(store), _moments_of(store)), *states, strict=True):
        assert all(torch.equal(value, found[name]) for name, value in best.items())
        assert not all(torch.equal(value, found[name]) for name, value in last.items())


def _copy_of(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in tensors.items()}


def _moments_of(store: StateStore) -> dict[str, torch.Tensor]:
    return {
        f"{number}": moments["exp_avg"].clone() for number, moments in enumerate(store.learner.optimizer.state.values())
    }


@pytest.mark.slow
def test_workers_get_back_what_was_their_own_or_an_equal_share(tiny_dataset: Path, tmp_path: Path) -> None:
    """Two workers with other sums and batch statistics store; two find their own again, one the sum and the mean."""
    meeting = tmp_path / "meeting"
    spawn(_one_of_two, args=(str(meeting), str(tiny_dataset), str(tmp_path)), nprocs=2)  # type: ignore[no-untyped-call]
    alone = store_of(_with_batch_statistics(tiny_dataset, tmp_path))
    assert alone.resume().partial_epoch.sums == Sums({"loss": 3.0}, 6)
    assert _mean_of_first_statistic(alone) == 1.5


def _one_of_two(rank: int, meeting: str, data: str, output: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    config = _with_batch_statistics(Path(data), Path(output))
    worker = Worker(rank, 2, torch.device("cpu"))
    own = Sums({"loss": 1.0 + rank}, 3)
    store = store_of(config, worker)
    _first_statistic(store).fill_(1.0 + rank)
    store.keep_step([], PartialEpoch(2, own))
    distributed.barrier()
    resumed = store_of(config, worker)
    assert resumed.resume().partial_epoch.sums == own
    assert _mean_of_first_statistic(resumed) == 1.0 + rank
    distributed.destroy_process_group()


def _with_batch_statistics(data: Path, output: Path) -> TrainConfig:
    model = ModelConfig(video_encoder="resnet18", audio_encoder="tiny", feature_size=16)
    return settings(data, output, model=model, batch_norm="local")


def _first_statistic(store: StateStore) -> torch.Tensor:
    return next(buffer for name, buffer in store.learner.classifier.named_buffers() if name.endswith("running_mean"))


def _mean_of_first_statistic(store: StateStore) -> float:
    return float(_first_statistic(store).mean())
