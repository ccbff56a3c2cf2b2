"""The results of a search's trials, as Ray Tune has kept them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ray import tune

from pipeline.search.report import METRIC, SearchResult, TrialResult
from pipeline.tracking.mlflow_runs import EPOCH
from preprocessing.errors import users_mistake
from training.config import TrainConfig
from training.fitting import TrainingError


def collect(config: TrainConfig, results: Sequence[tune.Result]) -> SearchResult:
    """The result of every trial, best first.

    Raises:
        UserError: if no trial got through its first epoch, and the first one's reason is the user's to mend.
        TrainingError: if it is not.
    """
    trials = []
    for result in results:
        frame = result.metrics_dataframe
        epochs = [] if frame is None else frame.drop_duplicates(EPOCH, keep="last").to_dict("records")
        if not epochs:
            continue
        trials.append(
            TrialResult(
                trial_id=Path(result.path).name,
                settings=result.config or {},
                epochs=tuple(int(each[EPOCH]) for each in epochs),
                robust_accuracies=tuple(float(each[METRIC]) for each in epochs),
                clean_accuracies=tuple(float(each["validation/clean_accuracy"]) for each in epochs),
                status=status(result, last_epoch=int(epochs[-1][EPOCH]), max_epochs=config.epochs),
            )
        )
    if not trials:
        error = next((result.error for result in results if result.error), None)
        if mistake := users_mistake(error):
            raise mistake
        raise TrainingError("no trial finished an epoch; the first one's error stands above") from error
    trials.sort(key=lambda trial: trial.robust_accuracy, reverse=True)
    return SearchResult(trials=tuple(trials), threat=str(config.validation.threat), metric=METRIC)


def status(result: tune.Result, *, last_epoch: int, max_epochs: int) -> Literal["finished", "stopped early", "failed"]:
    """The end of a trial; the number of an epoch counts, because a worker may be lost before it reports one."""
    if result.error:
        return "failed"
    return "finished" if last_epoch >= max_epochs else "stopped early"
