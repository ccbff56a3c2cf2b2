"""The commands: settings in, one stage run, exit status out (see `pipeline.endings`)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.endings import EXPLANATION, ExitStatus, report, sigterm_interrupts
from pipeline.environment import set_up_environment
from pipeline.settings.help import Command, CommandGroup, SettingsCommand, config_class_of
from pipeline.settings.load import Config, load, override
from pipeline.settings.places import absolute_places, refuse_relative
from pipeline.settings.words import file_and_changes, spelled_out
from pipeline.tracking.choice import Tracking

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)

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


@app.command(cls=SettingsCommand)
def demo(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Make a small data set of real videos, train a standard and a robust model on it, attack both, print one table."""
    from pipeline.cluster import connect
    from pipeline.demo import DemoConfig, run_demo

    config = _load(DemoConfig, words)
    with connect():
        run_demo(config, tracking=tracking)


@app.command(cls=SettingsCommand)
def preprocess(words: Words = None) -> None:
    """Turn labelled videos into shards: preprocess FILE dataset.root=DIR output=DIR [workers=N] [plan|repair=true]."""
    from pipeline.cluster import connect
    from preprocessing.config import PreprocessConfig
    from preprocessing.estimate.estimate import estimate
    from preprocessing.estimate.table import show
    from preprocessing.run import preprocess as run

    config = _load(PreprocessConfig, words)
    if config.plan:
        show(estimate(config))
        return
    with connect():
        run(config)


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
def train(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Train a classifier on shards: train FILE data=DIR output=DIR [workers=N] [objective.name=...]."""
    from pipeline.cluster import connect
    from pipeline.tracked_stages import tracked_training
    from training.config import TrainConfig

    config = _load(TrainConfig, words)
    with connect():
        result = tracked_training(config, tracking=tracking)
    logger.info("checkpoint: %s", result.checkpoint)


@app.command(cls=SettingsCommand)
def tune(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Search settings of a training: tune FILE data=DIR output=DIR [trials=N]. Writes OUTPUT/best.yaml for `train`."""
    from pipeline.cluster import connect
    from pipeline.search.tune import TuneConfig, search

    config = _load(TuneConfig, words)
    with connect(show_workers=False):
        search(config, tracking=tracking)


@app.command(cls=SettingsCommand)
def evaluate(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Measure a checkpoint under attacks: evaluate FILE checkpoint=DIR data=DIR output=DIR [plan=true]."""
    from evaluation.config import EvaluateConfig
    from evaluation.planning.estimate import print_estimate
    from evaluation.reporting.report import print_table
    from evaluation.run import estimate
    from pipeline.cluster import connect
    from pipeline.tracked_stages import tracked_evaluation

    config = _load(EvaluateConfig, words)
    with connect():
        if config.plan:
            print_estimate(estimate(config))
        else:
            print_table(tracked_evaluation(config, tracking=tracking))


@app.command(cls=SettingsCommand)
def compare(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE] [DIR|NAME=DIR[,DIR]...]... [KEY=VALUE]...",
            help="A YAML file; folders of finished evaluations, one of each method or one of each of its trainings, "
            "separated by commas; and settings such as output=DIR. A word before = that is no setting is a name.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say which method is better, and how sure that is: compare DIR NAME=DIR,DIR output=DIR. Writes page and tables."""
    from evaluation.comparison import compare as run
    from evaluation.comparison.config import CompareConfig
    from evaluation.comparison.tables import print_tables

    config = load(CompareConfig, *file_and_changes(spelled_out("compare", words)))
    refuse_relative({"output": config.output} | {f"methods.{name}": each for name, each in config.methods.items()})
    comparison = run(config.methods, config.output, num_resamples=config.num_resamples, seed=config.seed)
    print_tables(comparison)


@app.command(cls=SettingsCommand)
def corruptions(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Measure a checkpoint under rain, smoke, noise, ...: corruptions FILE checkpoint=DIR data=DIR output=DIR."""
    from evaluation.corruptions.config import CorruptionsConfig
    from evaluation.corruptions.report import print_table
    from pipeline.cluster import connect
    from pipeline.tracked_stages import tracked_corruptions

    config = _load(CorruptionsConfig, words)
    with connect():
        print_table(tracked_corruptions(config, tracking=tracking))


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


def _load(config_class: type[Config], words: Sequence[str] | None) -> Config:
    """The config that `[FILE] [key=value ...]` describes, its local paths made absolute: workers run elsewhere."""
    config = load(config_class, *file_and_changes(words))
    return override(config, absolute_places(config))


def set_up_logging() -> None:
    """One line a message, with the time; other libraries speak only when something is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    for package in ("pipeline", "preprocessing", "training", "evaluation"):
        logging.getLogger(package).setLevel(logging.INFO)


def main(arguments: Sequence[str] | None = None, *, program: str = "python -m pipeline") -> int:
    """Run one command and say how it ended, see `pipeline.endings`; a fault of ours is raised, which ends in 1."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    show_traceback = TRACEBACK in words
    words = [word for word in words if word != TRACEBACK]
    set_up_environment()
    set_up_logging()
    try:
        with sigterm_interrupts():
            app(args=words, prog_name=program)
    except SystemExit as end:
        return int(end.code or 0)
    except Exception as error:
        status = report(error, command=words[0] if words else "", show_traceback=show_traceback)
        if status is None:
            raise
        return status
    return ExitStatus.DONE


def console_script() -> int:
    """The installed command `robust-av`, the same as `python -m pipeline` but for where the code comes from.

    `python -m pipeline` takes the packages of the current folder, as a clone wants it. The script takes the installed
    ones, whatever folders named `training` or `evaluation` lie where it is started.
    """
    return main(program="robust-av")
