"""A training and an evaluation with their record in MLflow: what `train`, `evaluate` and the demo run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from evaluation.config import EvaluateConfig
from evaluation.report import Report
from evaluation.run import check as check_evaluation
from evaluation.run import evaluate
from pipeline.cluster import num_nodes
from pipeline.mlflow_runs import EpochLogger, Run, open_store, run_key, tracked_run
from pipeline.schedule_picture import draw_schedules
from pipeline.settings.load import flatten
from training.config import TrainConfig
from training.run import TrainResult, train
from training.run import check as check_training
from training.run_folder import Metrics

logger = logging.getLogger(__name__)


def tracked_training(config: TrainConfig) -> TrainResult:
    """Train, with the settings, every epoch's metrics and the final model in the MLflow run of `config.output`.

    The caller is connected to Ray. Running it again reopens the same MLflow run.
    """
    check_training(config)
    store = open_store(config.output)
    follow = num_nodes() == 1 or not store.is_a_local_file
    if not follow:
        logger.warning("MLflow gets this run's epochs at its end: set MLFLOW_TRACKING_URI to a server to follow it")
    key = run_key("train", config.output, config.fingerprint())
    with tracked_run(store, key, name=_name(config.output), settings=flatten(config)) as run:
        _show_schedules(config, run)
        result = train(config, callbacks=[EpochLogger(run)] if follow else [])
        _show_schedules(config, run, result.history)
        run.complete_history(result.history)
        run.log_model(result.checkpoint)
    return result


def tracked_evaluation(config: EvaluateConfig) -> Report:
    """Evaluate, with the settings, the headline numbers and the report's files in the MLflow run of `config.output`.

    The caller is connected to Ray.
    """
    check_evaluation(config)
    store = open_store(config.output)
    settings = flatten(config)
    key = run_key("evaluate", config.output, settings)
    with tracked_run(store, key, name=f"{_name(config.output)} report", settings=settings) as run:
        report = evaluate(config)
        numbers = {
            "test/clean_accuracy": report.clean_accuracy,
            "test/worst_case_robust_accuracy": report.worst_case_robust_accuracy,
            **{f"test/robust_accuracy/{each.name}": each.robust_accuracy for each in report.attacks},
        }
        run.log_metrics(numbers, step=0)
        for name in ("report.json", "report.html", "certificates.parquet"):
            run.log_files(Path(config.output) / name, name="report")
    return report


def _show_schedules(config: TrainConfig, run: Run, history: Sequence[Metrics] = ()) -> None:
    picture = Path(config.output) / "schedules.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_schedules(config, picture, history)
    run.log_files(picture, name="curriculum")


def _name(output: str) -> str:
    return Path(output).name
