"""The commands that measure a classifier, and compare what was measured."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.app import TrackingOption, Words, app, loaded
from pipeline.settings.help import SettingsCommand
from pipeline.settings.load import load
from pipeline.settings.places import refuse_relative
from pipeline.settings.words import file_and_changes, spelled_out


@app.command(cls=SettingsCommand)
def evaluate(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Measure a checkpoint under attacks: evaluate FILE checkpoint=DIR data=DIR output=DIR [plan=true]."""
    from evaluation.config import EvaluateConfig
    from evaluation.planning.estimate import print_estimate
    from evaluation.reporting.report import print_table
    from evaluation.run import estimate
    from pipeline.cluster import connect
    from pipeline.tracked_stages import tracked_evaluation
    from preprocessing.storage.output_lock import held

    config = loaded(EvaluateConfig, words)
    if config.plan:
        with connect():
            print_estimate(estimate(config))
        return
    with held(config.output, command="evaluate"), connect():
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
    from preprocessing.storage.output_lock import held

    config = loaded(CorruptionsConfig, words)
    with held(config.output, command="corruptions"), connect():
        print_table(tracked_corruptions(config, tracking=tracking))


@app.command(cls=SettingsCommand)
def transfer(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE] [DIR|NAME=DIR]... [KEY=VALUE]...",
            help="A YAML file; folders of checkpoints, with names or without; and settings such as output=DIR. A word "
            "before = that is no setting is a name.",
            show_default=False,
        ),
    ] = None,
    tracking: TrackingOption = "required",
) -> None:
    """Measure how attacks made on some models fool others: transfer FILE checkpoint=[DIR,DIR] data=DIR output=DIR."""
    from evaluation.transfer.config import TransferConfig
    from evaluation.transfer.tables import print_tables
    from pipeline.cluster import connect
    from pipeline.tracked_stages import tracked_transfer
    from preprocessing.storage.output_lock import held

    config = loaded(TransferConfig, spelled_out("transfer", words))
    with held(config.output, command="transfer"), connect():
        print_tables(tracked_transfer(config, tracking=tracking))


@app.command(cls=SettingsCommand)
def perceptibility(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE] EVALUATION [KEY=VALUE]...",
            help="A YAML file; the folder of a finished evaluation; and settings such as output=DIR.",
            show_default=False,
        ),
    ] = None,
    tracking: TrackingOption = "required",
) -> None:
    """Say how visible and audible an evaluation's clips are, export some: perceptibility EVALUATION output=DIR."""
    from evaluation.perceptibility.config import PerceptibilityConfig
    from evaluation.perceptibility.report import print_tables
    from pipeline.tracked_stages import tracked_perceptibility
    from preprocessing.storage.output_lock import held

    config = loaded(PerceptibilityConfig, spelled_out("perceptibility", words))
    with held(config.output, command="perceptibility"):
        print_tables(tracked_perceptibility(config, tracking=tracking))
