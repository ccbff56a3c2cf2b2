"""The start of a prediction: a checkpoint and places of videos -> a prediction of each video, and a table of all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from evaluation.prediction.classifier import VideoClassifier
from evaluation.prediction.config import PredictConfig
from evaluation.prediction.results import VideoPrediction, table
from evaluation.prediction.videos import video_files
from preprocessing.errors import PlaceError, SettingsError
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.storage.atomic_file import write_file
from preprocessing.storage.places import require_writable
from preprocessing.storage.store import Store

logger = logging.getLogger(__name__)


def predict(
    checkpoint: str | Path, paths: str | Path | Sequence[str | Path], **settings: object
) -> list[VideoPrediction]:
    """Classify videos with a checkpoint, each decoded in the sandbox and in the checkpoint's own clip format.

        for found in predict("runs/mine/robust/checkpoint", "holiday.mp4", robustness=True):
            print(found.class_name, found.probabilities, found.certificate)

    Args:
        checkpoint: folder of the checkpoint.
        paths: videos of any length and folders of them, of this machine or as URLs; one or several.
        settings: any setting of `PredictConfig`, such as `hop_seconds=2.5` or `output="found.csv"`.

    Returns:
        One prediction per video, in order; of one that cannot be decoded it tells the reason.

    Raises:
        UserError: if a setting is not allowed, the checkpoint is none, or `output` cannot be written.
    """
    places = [str(each) for each in ([paths] if isinstance(paths, str | Path) else paths)]
    return predict_each(str(checkpoint), places, PredictConfig.model_validate(settings))


def predict_each(
    checkpoint: str,
    places: Sequence[str],
    config: PredictConfig,
    *,
    tell: Callable[[VideoPrediction], None] = lambda prediction: None,
) -> list[VideoPrediction]:
    """The predictions of all videos at `places`, each told as it comes; written as a table if `config` names one.

    Raises:
        UserError: before the first video, if the checkpoint is none or the table cannot be written.
    """
    if not places:
        raise SettingsError("there is no video to classify: give files, folders or URLs")
    if config.output:
        refuse_unwritable(config.output)
    found: list[VideoPrediction] = []
    doing = ["the checkpoint is loaded"]
    with heartbeat(lambda: doing[0]), VideoClassifier(checkpoint, config) as classifier:
        videos = list(video_files(places))
        for prediction in classifier.classify_each(
            videos, tell=lambda text: doing.__setitem__(0, f"video {len(found) + 1} of {len(videos)}, {text}")
        ):
            found.append(prediction)
            tell(prediction)
    if config.output:
        write(found, checkpoint, classifier, config, config.output)
    return found


def write(
    found: Sequence[VideoPrediction], checkpoint: str, classifier: VideoClassifier, config: PredictConfig, output: str
) -> None:
    """Write predictions as a table, whole or not at all."""
    folder, name = split(output)
    kind: Literal[".csv", ".json"] = ".csv" if name.lower().endswith(".csv") else ".json"
    settings = config.model_dump(
        mode="json", exclude={"output", "gpu", "batch_size", "decoders", "limits", "top", "by_time"}
    )
    origin: dict[str, object] = {
        "checkpoint": checkpoint,
        "model_sha256": classifier.model_sha256,
        "settings": settings,
    }
    write_file(
        Store(folder),
        name,
        table(found, kind=kind, classes=classifier.info.classes, origin=origin, by_time=config.by_time),
    )
    logger.info("wrote '%s'", output)


def refuse_unwritable(output: str) -> None:
    """Refuse a file of this machine that is a folder, or lies in one that cannot be written.

    Raises:
        PlaceError: naming the setting.
    """
    if "://" in output:
        return
    if Path(output).is_dir():
        raise PlaceError(f"output='{output}' is a folder; give the name of a file in it")
    require_writable(Path(output).absolute().parent)


def split(output: str) -> tuple[str, str]:
    """The folder or URL that a file lies in, and its name there."""
    if "://" in output:
        folder, _, name = output.rpartition("/")
        return folder, name
    path = Path(output).absolute()
    return str(path.parent), path.name
