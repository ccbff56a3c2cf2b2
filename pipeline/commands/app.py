"""The program that the commands belong to, and what they share: their words, tracking, the loading of settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from pipeline.endings import EXPLANATION
from pipeline.settings.help import CommandGroup
from pipeline.settings.load import Config, ConfigError, load, override
from pipeline.settings.places import absolute_places, missing_folders
from pipeline.settings.words import file_and_changes
from pipeline.tracking.choice import Tracking

app = typer.Typer(
    cls=CommandGroup,
    epilog=EXPLANATION,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE] [KEY=VALUE]...",
        help="A YAML file, and settings that win over it, such as epochs=5 or objective.name=pgd_at.",
        show_default=False,
    ),
]

TrackingOption = Annotated[
    Tracking,
    typer.Option(
        help="Whether MLflow must answer before work begins; afterwards it may be away in any case. required: it must; "
        "optional: work begins without it, and what it misses is sent when it is back; off: nothing is recorded."
    ),
]

TRACEBACK = "--traceback"


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        from preprocessing.storage.provenance import PROJECT, commit, project_version

        known = commit()
        typer.echo(f"{PROJECT} {project_version()}" + (f" (commit {known[:7]})" if known else ""))
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    traceback: Annotated[  # `main` takes it out, wherever it stands
        bool, typer.Option(TRACEBACK, help="Show the traceback of a mistake in settings, places or data, too.")
    ] = False,
) -> None:
    """Robust audio-visual classifiers, from raw clips to a robustness report. COMMAND --help explains a command."""


def loaded(config_class: type[Config], words: Sequence[str] | None) -> Config:
    """The config that `[FILE] [key=value ...]` describes, its local paths made absolute: workers run elsewhere.

    Raises:
        ConfigError: naming every problem, and with them folders to read that do not exist.
    """
    file, changes = file_and_changes(words)
    try:
        config = load(config_class, file, changes)
    except ConfigError as error:
        raise ConfigError([*error.problems, *missing_folders(changes)], error.source) from None
    return override(config, absolute_places(config))
