"""The results of trials, collected from what Ray Tune gives: no search is run here."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from ray.exceptions import RayTaskError
from ray.tune import Result

from pipeline.search.outcomes import collect
from pipeline.search.report import METRIC
from pipeline.tracking.mlflow_runs import EPOCH
from preprocessing.errors import DataError
from training.config import TrainConfig
from training.fitting import TrainingError

CONFIG = TrainConfig(data="data", output="output", epochs=3)


def trial(name: str, accuracies: dict[int, float], error: Exception | None = None) -> Result:
    """A trial whose epochs, by number, had these robust accuracies."""
    epochs = [{EPOCH: epoch, METRIC: each, "validation/clean_accuracy": 0.9} for epoch, each in accuracies.items()]
    return Result(
        metrics={"config": {"optimizer.learning_rate": 0.1}},
        checkpoint=None,
        error=error,
        path=str(Path("search") / "tune" / name),
        metrics_dataframe=pd.DataFrame(epochs) if epochs else None,
    )


def lost_to(cause: Exception) -> RayTaskError:
    """An error as Ray brings it from the process of a trial."""
    return RayTaskError("run_trial", "Traceback of the trial's process", cause)  # type: ignore[no-untyped-call]


def test_the_best_trial_comes_first_and_each_tells_how_it_ended() -> None:
    found = collect(
        CONFIG,
        [
            trial("whole", {1: 0.1, 2: 0.2, 3: 0.3}),
            trial("stopped", {1: 0.2}),
            trial("broken", {1: 0.2, 2: 0.5}, lost_to(RuntimeError("lost"))),
            trial("nothing", {}, lost_to(RuntimeError("lost"))),
        ],
    )
    assert [(each.trial_id, each.status) for each in found.trials] == [
        ("broken", "failed"),
        ("whole", "finished"),
        ("stopped", "stopped early"),
    ]
    assert found.best.epochs == (1, 2)
    assert found.best.settings == {"optimizer.learning_rate": 0.1}


def test_an_epoch_that_was_done_again_counts_once_with_its_last_numbers() -> None:
    """After a restart a trial reports its last epoch anew."""
    first = trial("again", {1: 0.1, 2: 0.2})
    second = trial("again", {2: 0.4, 3: 0.3})
    both = trial("again", {})
    both.metrics_dataframe = pd.concat([first.metrics_dataframe, second.metrics_dataframe])
    (found,) = collect(CONFIG, [both]).trials
    assert (found.epochs, found.robust_accuracies) == ((1, 2, 3), (0.1, 0.4, 0.3))


def test_a_users_mistake_in_every_trial_is_told_as_one() -> None:
    mistake = DataError("clip 'x' is not what its record says")
    with pytest.raises(DataError, match="clip 'x' is not what its record says") as caught:
        collect(CONFIG, [trial("one", {}, lost_to(mistake)), trial("two", {}, lost_to(mistake))])
    assert type(caught.value) is DataError


def test_a_fault_in_every_trial_is_none_of_the_users() -> None:
    fault = lost_to(RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(TrainingError, match="no trial finished an epoch") as caught:
        collect(CONFIG, [trial("one", {}, fault)])
    assert caught.value.__cause__ is fault
