"""The commands that put a classifier to use: on videos, and as a program."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.commands.app import app
from pipeline.settings.help import SettingsCommand
from pipeline.settings.load import load
from pipeline.settings.places import refuse_relative
from pipeline.settings.words import places_and_changes
from preprocessing.errors import DataError
from preprocessing.reporting.terminal import printable

logger = logging.getLogger(__name__)

Checkpoint = Annotated[str, typer.Argument(metavar="CHECKPOINT", help="The folder of a checkpoint.")]


@app.command(cls=SettingsCommand)
def predict(
    checkpoint: Checkpoint,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VIDEO_OR_FOLDER... [KEY=VALUE]...",
            help="Videos of any length and folders of them, also as URLs such as s3://bucket/folder; and settings, "
            "such as output=FILE.csv.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Classify videos: predict CHECKPOINT VIDEO_OR_FOLDER... [output=FILE.csv] [by_time=true] [robustness=true]."""
    from evaluation.prediction.config import PredictConfig
    from evaluation.prediction.results import VideoPrediction, lines
    from evaluation.prediction.run import predict_each

    places, changes = places_and_changes(words)
    config = load(PredictConfig, None, changes)
    refuse_relative(
        {"CHECKPOINT": checkpoint, "VIDEO": tuple(places)} | ({"output": config.output} if config.output else {})
    )

    def tell(prediction: VideoPrediction) -> None:
        for line in lines(prediction, top=config.top, by_time=config.by_time):
            typer.echo(printable(line))

    found = predict_each(checkpoint, places, config, tell=tell)
    num_refused = sum(bool(each.reason) for each in found)
    if num_refused == len(found):
        raise DataError(f"none of {len(found)} videos could be classified; the lines above say why")
    if num_refused:
        logger.warning("%d of %d videos could not be classified", num_refused, len(found))


@app.command(cls=SettingsCommand)
def export(
    checkpoint: Checkpoint,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as output=model.pt2.", show_default=False),
    ] = None,
) -> None:
    """Write a checkpoint as a program of PyTorch alone: export CHECKPOINT output=FILE.pt2 [data=DIR]."""
    from evaluation.prediction.export import ExportConfig
    from evaluation.prediction.export import export as run

    config = load(ExportConfig, None, words or ())
    refuse_relative(
        {"CHECKPOINT": checkpoint, "output": config.output} | ({"data": config.data} if config.data else {})
    )
    run(checkpoint, config)
