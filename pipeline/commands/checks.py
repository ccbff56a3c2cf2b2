"""The commands that look at what is there: a data set, a report, a machine, settings."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from pipeline.commands.app import Words, app
from pipeline.endings import ExitStatus
from pipeline.settings.help import Command, SettingsCommand, config_class_of
from pipeline.settings.load import load, override
from pipeline.settings.places import absolute_places, refuse_relative
from pipeline.settings.words import file_and_changes, spelled_out

logger = logging.getLogger(__name__)


@app.command(cls=SettingsCommand)
def inspect(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A data set, finished or not: a folder or a URL.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as clips=48.", show_default=False),
    ] = None,
) -> None:
    """Show a data set on one HTML page, trouble first: inspect DIR [output=FILE] [clips=N]."""
    from preprocessing.inspection.config import InspectConfig
    from preprocessing.inspection.run import inspect as run

    config = load(InspectConfig, None, words or ())
    refuse_relative({"DIR": folder} | ({"output": config.output} if config.output else {}))
    run(folder, config)


@app.command(cls=SettingsCommand)
def verify(
    place: Annotated[str, typer.Argument(metavar="DIR", help="A data set or a report: a folder or a URL.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as videos=DIR.", show_default=False),
    ] = None,
) -> None:
    """Re-check a data set (every file, hash, key and clip) or a report: verify DIR [videos=DIR[,DIR2]] [clips=N]."""
    from pipeline.verification import problems_of
    from preprocessing.checks.config import VerifyConfig

    config = load(VerifyConfig, None, words or ())
    places = {"DIR": place, "videos": config.videos, "checkpoint": config.checkpoint, "data": config.data}
    refuse_relative({name: value for name, value in places.items() if value})
    problems = problems_of(place, config)
    for problem in problems:
        logger.error("%s", problem)
    if problems:
        raise typer.Exit(ExitStatus.FAULT)
    logger.info("no problems found in '%s'", place)


@app.command(cls=SettingsCommand)
def doctor(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Places to look at, such as output=DIR.", show_default=False),
    ] = None,
) -> None:
    """Say whether this machine or cluster can do the work: doctor [data=DIR] [output=DIR]. Status 1 at a problem."""
    from pipeline.doctor.config import DoctorConfig
    from pipeline.doctor.finding import show
    from pipeline.doctor.run import diagnose

    config = load(DoctorConfig, None, words or ())
    findings = diagnose(override(config, absolute_places(config)))
    show(findings)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(ExitStatus.FAULT)


@app.command("settings", cls=Command)
def show_settings(
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="Whose settings.")],
    words: Words = None,
) -> None:
    """Print the settings that a command would run with, as YAML with each one's explanation and origin."""
    from pipeline.settings.resolved import resolved

    config_class = config_class_of(command)
    file, changes = file_and_changes(spelled_out(command, words))
    sys.stdout.write(resolved(command, config_class, file, changes))
