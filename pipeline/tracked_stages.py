"""A training and the measurements of its model, with their record in MLflow: what the commands and the demo run."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from evaluation.config import EvaluateConfig
from evaluation.corruptions.config import CorruptionsConfig
from evaluation.corruptions.page import PAGE_NAME as CORRUPTIONS_PAGE_NAME
from evaluation.corruptions.predictions import PREDICTIONS_NAME
from evaluation.corruptions.report import CORRUPTIONS_NAME, CorruptionReport
from evaluation.corruptions.run import PICTURES, measure
from evaluation.corruptions.run import check as check_corruptions
from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.export import CLIPS_FOLDER
from evaluation.perceptibility.page import PAGE_NAME as PERCEPTIBILITY_PAGE_NAME
from evaluation.perceptibility.report import PERCEPTIBILITY_NAME, PerceptibilityReport
from evaluation.perceptibility.rows import MEASURES, ROWS_NAME
from evaluation.perceptibility.run import check as check_perceptibility
from evaluation.perceptibility.run import measure as measure_perceptibility
from evaluation.reporting.page import PAGE_NAME
from evaluation.reporting.report import REPORT_NAME, Report
from evaluation.run import check as check_evaluation
from evaluation.run import evaluate
from evaluation.stored.certificates import CERTIFICATES_NAME
from evaluation.stored.perturbations import PERTURBATIONS_NAME
from evaluation.transfer.config import TransferConfig
from evaluation.transfer.report import TransferReport
from evaluation.transfer.run import FILES as TRANSFER_FILES
from evaluation.transfer.run import check as check_transfer
from evaluation.transfer.run import measure as measure_transfer
from pipeline.schedule_picture import draw_schedules
from pipeline.settings.load import flatten
from pipeline.tracking.choice import Tracking
from pipeline.tracking.mlflow_runs import EPOCH, run_key
from pipeline.tracking.record import DataNote, RunRecord, Status
from pipeline.tracking.recorder import recorded
from pipeline.tracking.registry import Registration
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.reporting.progress import duration
from preprocessing.storage.output_lock import held
from training.checkpoint import load_info
from training.config import TrainConfig
from training.run import TrainResult, best_in_words, train
from training.run import check as check_training
from training.run_folder import Metrics, RunFolder

logger = logging.getLogger(__name__)

PICTURE_NAME = "schedules.png"


def tracked_training(config: TrainConfig, *, tracking: Tracking = "required") -> TrainResult:
    """Train, with the settings, every epoch's metrics and the final model in the MLflow run of `config.output`.

    The caller is connected to Ray. Running it again goes on in the same MLflow run, and sends what it lacks.
    """
    with heartbeat(lambda: f"looking at data='{config.data}' and output='{config.output}'"):
        data = DataNote(config.data, str(check_training(config)["dataset_sha256"]), "training")
    key, settings = run_key("train", config.output, config.fingerprint()), flatten(config)

    def read(status: Status) -> Sequence[RunRecord]:
        record = training_record(RunFolder(Path(config.output)), status, key=key, settings=settings)
        done = registration(config) if status == "FINISHED" else None
        return [replace(record, data=data, registration=done)]

    with held(config.output, command="train"), recorded(read, output=config.output, tracking=tracking) as page:
        _draw_schedules(config)
        result = train(config)
        _draw_schedules(config, result.history)
    for line in training_end(config, result, page=page()):
        logger.info("%s", line)
    return result


def training_end(config: TrainConfig, result: TrainResult, *, page: str) -> Iterator[str]:
    """The last lines about a training: its best epoch, where it lies, what to do next, and where to look."""
    yield (
        f"trained for {len(result.history)} epochs, {duration(result.seconds)} in this run; "
        f"{best_in_words(result.history, config)}"
    )
    yield f"checkpoint: {result.checkpoint}"
    places = {"checkpoint": str(result.checkpoint), "data": config.data, "output": config.output}
    words = shlex.join(f"{name}={place}" for name, place in places.items())
    yield f"next: python -m pipeline evaluate attacks=standard {words}"
    if page:
        yield f"MLflow: {page}"


def training_record(
    folder: RunFolder,
    status: Status,
    *,
    key: str,
    settings: Mapping[str, str | float],
    name: str = "",
    parent: str = "",
) -> RunRecord:
    """The record of the training in a folder, as far as it is stored; its name is the folder's unless it has one."""
    is_finished = folder.outcome() is not None
    picture = folder.path / PICTURE_NAME
    return RunRecord(
        key=key,
        name=name or folder.path.name,
        settings=settings,
        recognised_by="train/loss",
        points={round(metrics[EPOCH]): metrics for metrics in folder.history()},
        files=({picture: "curriculum"} if picture.exists() else {})
        | ({folder.checkpoint: "model"} if is_finished else {}),
        status=status,
        parent=parent,
    )


def registration(config: TrainConfig) -> Registration | None:
    """The place among MLflow's models of a finished training that has a name for it, by its best epoch."""
    if config.registered_model is None:
        return None
    measure = f"validation/{config.validation.best_by}"
    metrics = load_info(RunFolder(Path(config.output)).checkpoint).metrics
    return Registration(config.registered_model, measure, metrics[measure])


def tracked_evaluation(config: EvaluateConfig, *, tracking: Tracking = "required") -> Report:
    """Evaluate, with the settings, the headline numbers and the report's files in the MLflow run of `config.output`.

    The caller is connected to Ray.
    """
    prepared = check_evaluation(config)
    data = DataNote(config.data, prepared.index.content_sha256, "evaluation")
    settings = flatten(config)
    key, folder = run_key("evaluate", config.output, settings), Path(config.output)

    def read(status: Status) -> Sequence[RunRecord]:
        record = RunRecord(key, f"{folder.name} report", settings, "test/clean_accuracy", status=status, data=data)
        if status != "FINISHED":
            return [record]
        files = [folder / name for name in (REPORT_NAME, PAGE_NAME, CERTIFICATES_NAME, PERTURBATIONS_NAME)]
        points = {0: _numbers(Report.read(folder))}
        return [replace(record, points=points, files=dict.fromkeys(files, "report"))]

    with held(config.output, command="evaluate"), recorded(read, output=config.output, tracking=tracking):
        return evaluate(config, prepared=prepared)


def tracked_corruptions(config: CorruptionsConfig, *, tracking: Tracking = "required") -> CorruptionReport:
    """Measure under corruptions, with the settings, the mean accuracies and the report's files in the MLflow run of
    `config.output`.

    The caller is connected to Ray.
    """
    checked = check_corruptions(config)
    data = DataNote(config.data, checked[0].content_sha256, "evaluation")
    settings = flatten(config)
    key, folder = run_key("corruptions", config.output, settings), Path(config.output)

    def read(status: Status) -> Sequence[RunRecord]:
        record = RunRecord(key, f"{folder.name} corruptions", settings, "test/clean_accuracy", status=status, data=data)
        if status != "FINISHED":
            return [record]
        names = (CORRUPTIONS_NAME, CORRUPTIONS_PAGE_NAME, PREDICTIONS_NAME, *PICTURES.values())
        points = {0: _mean_accuracies(CorruptionReport.read(folder))}
        return [replace(record, points=points, files=dict.fromkeys((folder / name for name in names), "corruptions"))]

    with held(config.output, command="corruptions"), recorded(read, output=config.output, tracking=tracking):
        return measure(config, checked=checked)


def tracked_transfer(config: TransferConfig, *, tracking: Tracking = "required") -> TransferReport:
    """Measure transfer, with the settings, the mean success rates and the report's files in the MLflow run of
    `config.output`.

    The caller is connected to Ray.
    """
    prepared = check_transfer(config)
    data = DataNote(config.data, prepared.index.content_sha256, "evaluation")
    settings = flatten(config)
    key, folder = run_key("transfer", config.output, settings), Path(config.output)

    def read(status: Status) -> Sequence[RunRecord]:
        record = RunRecord(key, f"{folder.name} transfer", settings, "test/num_clips", status=status, data=data)
        if status != "FINISHED":
            return [record]
        points = {0: _success_rates(TransferReport.read(folder))}
        files = dict.fromkeys((folder / name for name in TRANSFER_FILES), "transfer")
        return [replace(record, points=points, files=files)]

    with held(config.output, command="transfer"), recorded(read, output=config.output, tracking=tracking):
        return measure_transfer(config, prepared=prepared)


def _success_rates(report: TransferReport) -> dict[str, float]:
    rates = {f"test/success_rate/{mean.group}/{mean.attack}": mean.success_rate for mean in report.means}
    clean = {f"test/clean_accuracy/{each.name}": each.accuracy for each in report.models if each.accuracy is not None}
    return {"test/num_clips": float(report.num_clips), **clean, **rates}


def tracked_perceptibility(config: PerceptibilityConfig, *, tracking: Tracking = "required") -> PerceptibilityReport:
    """Look at an evaluation's adversarial clips, with the settings, the mean measures, what survives as files and the
    report's files in the MLflow run of `config.output`.
    """
    subject = check_perceptibility(config)
    settings = flatten(config)
    key, folder = run_key("perceptibility", config.output, settings), Path(config.output)

    def read(status: Status) -> Sequence[RunRecord]:
        record = RunRecord(key, f"{folder.name} perceptibility", settings, "test/clean_accuracy", status=status)
        if status != "FINISHED":
            return [record]
        names = (PERCEPTIBILITY_NAME, PERCEPTIBILITY_PAGE_NAME, ROWS_NAME)
        points = {0: _perceptibility(PerceptibilityReport.read(folder))}
        files = dict.fromkeys((folder / name for name in names), "perceptibility")
        files[folder / CLIPS_FOLDER] = f"perceptibility/{CLIPS_FOLDER}"
        return [replace(record, points=points, files=files)]

    with held(config.output, command="perceptibility"), recorded(read, output=config.output, tracking=tracking):
        return measure_perceptibility(config, subject=subject)


def _perceptibility(report: PerceptibilityReport) -> dict[str, float]:
    """The mean of every measure, and the share of the fooling clips that still fool after every storage."""
    numbers = {"test/clean_accuracy": report.clean_accuracy}
    for attack in report.attacks:
        found = {measure: getattr(attack, measure) for measure in MEASURES}
        numbers |= {f"test/{name}/{attack.name}": each.mean.value for name, each in found.items() if each is not None}
        numbers |= {
            f"test/still_fooled/{survival.storage}/{attack.name}": survival.still_fooled
            for survival in attack.storages
            if survival.still_fooled is not None
        }
    return numbers


def _mean_accuracies(report: CorruptionReport) -> dict[str, float]:
    means = {f"test/corrupted_accuracy/{each.perturbed}/{each.group}": each.score.accuracy for each in report.groups}
    return {"test/clean_accuracy": report.clean_accuracy, **means}


def _numbers(report: Report) -> dict[str, float]:
    numbers = {
        "test/clean_accuracy": report.clean_accuracy,
        "test/worst_case_robust_accuracy": report.worst_case_robust_accuracy,
        **{f"test/robust_accuracy/{each.name}": each.robust_accuracy for each in report.attacks},
    }
    return {name: value for name, value in numbers.items() if value is not None}


def _draw_schedules(config: TrainConfig, history: Sequence[Metrics] = ()) -> None:
    picture = Path(config.output) / PICTURE_NAME
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_schedules(config, picture, history)
