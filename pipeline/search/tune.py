"""The search for better training settings: random search with early stopping over ordinary trainings.

Every trial is `training.run.train` with its own output folder; trials are compared by the robust accuracy on the
validation clips under the one threat model that `train.validation` names, which no trial can change.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt, model_validator
from ray import tune
from ray.train import UserCallback
from ray.tune.experiment import Trial
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import BasicVariantGenerator

from pipeline.cluster import require_dashboard
from pipeline.search.outcomes import collect
from pipeline.search.records import (
    BEST_NAME,
    PICTURE_NAME,
    RESULT_NAME,
    TrialNote,
    note_trial,
    reported,
    search_records,
)
from pipeline.search.report import METRIC, SearchResult, draw, show, text
from pipeline.search.space import AnyDistribution, check_space
from pipeline.settings.load import dump, flatten, override
from pipeline.tracking.choice import Tracking
from pipeline.tracking.mlflow_runs import EPOCH
from pipeline.tracking.record import Status
from pipeline.tracking.recorder import recorded
from preprocessing.cluster.capacity import capacity
from preprocessing.cluster.ray_internals import HEAD_NODE_RESOURCE
from preprocessing.errors import SettingsError
from preprocessing.settings import Settings, describe_differences, plain
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.output_lock import held
from preprocessing.storage.parsing import read_settings
from preprocessing.storage.places import Place
from training.config import TrainConfig
from training.fitting import TrainingError, worker_resources
from training.retired_settings import with_added, without_retired
from training.run import check as check_training
from training.run import train

logger = logging.getLogger(__name__)

SETTINGS_NAME = "tune.yaml"
MOST_TRIALS_AT_ONCE = 16
"""Unless `concurrent` says otherwise."""


class SuccessiveHalving(Settings):
    """Asynchronous successive halving: at each rung only the best of the trials go on."""

    grace_epochs: PositiveInt = 1
    """Epochs every trial gets; the first rung."""
    reduction_factor: int = Field(default=2, ge=2)
    """One in so many trials passes a rung; rungs lie at grace_epochs times its powers."""


class TuneConfig(Settings):
    """A search: the training, its settings that are searched, and the trials that this may take."""

    data: Place
    """Preprocessed data set: a folder or any fsspec URL."""
    output: str
    """Folder that receives best.yaml, search.json, search.png and one folder per trial."""
    train: TrainConfig
    """The training that trials vary; `data` and `output` are filled in."""
    space: dict[str, AnyDistribution] = Field(min_length=1)
    """Dotted settings of `train` -> distribution. Not `validation`, `epochs` or `workers`: trials must compare."""
    trials: PositiveInt = 8
    """Trials in all."""
    concurrent: PositiveInt | None = None
    """Trials at a time; unset = as many as the CPUs (or GPUs) allow once the cluster has grown, at most 16."""
    early_stopping: SuccessiveHalving = SuccessiveHalving()
    """The rule by which trials are given up early."""
    seed: int = 0
    """Decides which settings are tried."""

    @model_validator(mode="before")
    @classmethod
    def _complete_train(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or not {"data", "output"} <= set(values):
            return values
        given = plain(values.get("train", {}))
        if not isinstance(given, Mapping):
            return values  # which pydantic refuses
        return {**values, "train": {**given, "data": values["data"], "output": values["output"]}}

    @model_validator(mode="after")
    def _space_fits_train(self) -> TuneConfig:
        check_space(self.space, self.train)
        return self

    def trial(self, settings: Mapping[str, object], trial_id: str) -> TrainConfig:
        """The training of one trial."""
        return override(self.train, {**settings, "output": f"{self.output}/trials/{trial_id}"})


def search(config: TuneConfig, *, tracking: Tracking = "required") -> SearchResult:
    """Try `config.trials` settings and write the best as a YAML file that `train` loads.

    The caller is connected to Ray. Run again after an interruption, it goes on: finished trials stay as they are, begun
    ones resume.

    Raises:
        UserError: before anything is written, if data, Ray or `output` do not suit the settings, or `output` holds
            another search.
    """
    require_dashboard()
    concurrent = config.concurrent or concurrent_trials(config.train)
    check_training(first_trial(config))
    refuse_another(config)
    read = partial(search_records, output=config.output, settings=flatten(config))
    with held(config.output, command="tune"), recorded(read, output=config.output, tracking=tracking):
        begin(config)
        grid = tuner(config, TrialRecorder(config), concurrent=concurrent).fit()
        result = collect(config.train, [grid[number] for number in range(len(grid))])
        write(config, result)
    show(result)
    return result


def concurrent_trials(config: TrainConfig) -> int:
    """The number of trials at a time: all that the connected Ray could run once it has grown, so that it grows.

    A trial's driver takes no CPU: if it did, drivers could hold the CPUs that their own workers wait for. But it takes
    memory on the head, hence the bound.

    Raises:
        ResourceError: if not even one trial fits.
    """
    needs, there = worker_resources(config), capacity()
    return max(
        1, min(MOST_TRIALS_AT_ONCE, *(int(there.most(name) // (config.workers * each)) for name, each in needs.items()))
    )


def first_trial(config: TuneConfig) -> TrainConfig:
    """The training with the first value of each distribution."""
    return override(config.train, {key: distribution.examples[0] for key, distribution in config.space.items()})


def begin(config: TuneConfig) -> None:
    """Note the settings in `output`, or make sure that the search begun there is the same one."""
    path = Path(config.output) / SETTINGS_NAME
    if path.exists():
        refuse_another(config)
    else:
        write_text(path, dump(config))


def stored_search(path: Path) -> TuneConfig:
    """The settings of a search that was begun, maybe by an earlier version.

    Raises:
        ValueError: if it was begun with a setting that this version no longer has.
    """
    stored = read_settings(path)
    kept = without_retired(stored, where=f"the search in '{path.parent}'")
    train = TuneConfig.model_validate(kept).train
    return TuneConfig.model_validate({**kept, "train": with_added(kept["train"], train.fingerprint())})


def refuse_another(config: TuneConfig) -> None:
    """Stop if another search is begun in `output`; it writes nothing.

    Raises:
        SettingsError: naming every setting that differs.
    """
    path = Path(config.output) / SETTINGS_NAME
    if path.exists() and (lines := describe_differences(stored_search(path), config)):
        raise SettingsError(
            f"output='{config.output}' holds another search; choose another output or remove it. What differs:\n"
            + "\n".join(f"  {line}" for line in lines)
        )


def tuner(config: TuneConfig, recorder: TrialRecorder, *, concurrent: int) -> tune.Tuner:
    """The search, new or as it was when it was interrupted."""
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, config=config), {"CPU": 0, HEAD_NODE_RESOURCE: 0.001}
    )
    run_config = tune.RunConfig(name="tune", storage_path=config.output, callbacks=[recorder], verbose=0)
    stored = str(Path(config.output) / "tune")
    if tune.Tuner.can_restore(stored):
        logger.info("going on with the search in '%s'", config.output)
        return tune.Tuner.restore(stored, trainable, resume_errored=True)
    scheduler = ASHAScheduler(
        time_attr=EPOCH,  # not Tune's own counter: it starts again after a restore
        max_t=config.train.epochs,
        grace_period=min(config.early_stopping.grace_epochs, config.train.epochs),
        reduction_factor=config.early_stopping.reduction_factor,
    )
    return tune.Tuner(
        trainable,
        param_space={key: distribution.domain() for key, distribution in config.space.items()},
        run_config=run_config,
        tune_config=tune.TuneConfig(
            metric=METRIC,
            mode="max",
            num_samples=config.trials,
            scheduler=scheduler,
            search_alg=BasicVariantGenerator(random_state=config.seed, max_concurrent=concurrent),
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        ),
    )


def run_trial(settings: Mapping[str, object], *, config: TuneConfig) -> None:
    """One trial, as Ray Tune runs it: an ordinary training whose epochs are passed on to Tune.

    Lost workers are replaced here and not by Ray Train. Stopping a trial kills its workers up to 0.2 s before Ray
    Train's controller, which would take that for a loss and reserve CPUs for others, for ever: whoever gives back the
    CPUs of a killed controller knows only those of its last complete set of workers (Ray 2.60).

    Raises:
        TrainingStoppedError: if training stopped by itself.
        TrainingError: if it lost workers more than `max_failures` times.
    """
    trial = config.trial(settings, tune.get_context().get_trial_id())
    attempt = override(trial, {"max_failures": 0, "max_wait_minutes": None})  # it waits for its turn
    for failures in itertools.count():
        callbacks: Sequence[UserCallback] = [TuneReportCallback()]  # type: ignore[no-untyped-call]
        try:
            train(attempt, callbacks=callbacks)
            return
        except TrainingError as error:
            if failures >= trial.max_failures:
                raise
            logger.warning("%s; going on after the last finished epoch", error)


class TrialRecorder(tune.Callback):
    """Logs every trial's epochs, and notes what it tries and how it ends, from the driver's process.

    A trial that is stopped early is killed, so only the driver knows its end. Tune keeps this object in `tuner.pkl`.
    """

    def __init__(self, config: TuneConfig) -> None:
        self.config = config

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.config = state["config"]  # an earlier version kept MLflow's address as well

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note what it tries."""
        self.note(trial, "RUNNING")

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Log an epoch, and note its numbers."""
        self.note(trial, "RUNNING", reported(result))
        tried = ", ".join(f"{key}={text(value)}" for key, value in trial.config.items())
        told = trial.trial_id, int(result[EPOCH]), self.config.train.epochs, result[METRIC], tried
        logger.info("trial %s epoch %d/%d: robust accuracy %.3f (%s)", *told)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note the end; stopped early counts as finished."""
        self.note(trial, "FINISHED")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note the failure."""
        logger.warning(
            "trial %s failed; the reason is in '%s/tune/%s'", trial.trial_id, self.config.output, trial.trial_id
        )
        self.note(trial, "FAILED")

    def note(self, trial: Trial, status: Status, points: Mapping[int, Mapping[str, float]] | None = None) -> None:
        """Write what is known of a trial where the driver's recorder, and that of a restart, find it."""
        training = self.config.trial(trial.config, trial.trial_id)
        note_trial(Path(training.output), TrialNote(flatten(training), status, points or {}))


def write(config: TuneConfig, result: SearchResult) -> None:
    """Write best.yaml, search.json and search.png into `output`."""
    folder = Path(config.output)
    best = config.trial(result.best.settings, result.best.trial_id)
    comment = (
        f"python -m pipeline train {folder / BEST_NAME} data=DIR output=DIR\n"
        f"Best of {len(result.trials)} trials: robust accuracy {result.best.robust_accuracy:.3f} on validation, "
        f"{result.threat}"
    )
    write_text(folder / BEST_NAME, dump(best, exclude={"data", "output"}, comment=comment))
    write_text(folder / RESULT_NAME, result.model_dump_json(indent=2) + "\n")
    draw(result, folder / PICTURE_NAME)
