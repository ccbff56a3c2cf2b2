"""The commands that make something: a demo, a data set, a classifier, the best settings for one."""

from __future__ import annotations

import typer

from pipeline.commands.app import TrackingOption, Words, app, loaded
from pipeline.settings.help import SettingsCommand
from preprocessing.reporting.heartbeat import heartbeat


@app.command(cls=SettingsCommand)
def demo(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Make a small data set of real videos, train a standard and a robust model on it, attack both, print one table."""
    from pipeline.cluster import connect
    from pipeline.demo import DemoConfig, next_steps, run_demo

    config = loaded(DemoConfig, words)
    with connect():
        run_demo(config, tracking=tracking)
    typer.echo(next_steps(config))


@app.command(cls=SettingsCommand)
def preprocess(words: Words = None) -> None:
    """Turn labelled videos into shards: preprocess FILE dataset.root=DIR output=DIR [workers=N] [plan|repair=true]."""
    from preprocessing.config import PreprocessConfig

    config = loaded(PreprocessConfig, words)
    if config.plan:  # imports for itself: it takes a tenth of the time and memory of Ray
        from preprocessing.estimate.estimate import estimate
        from preprocessing.estimate.table import show

        show(estimate(config))
        return
    from pipeline.cluster import connect
    from preprocessing.run import preprocess as run

    with connect():
        run(config)


@app.command(cls=SettingsCommand)
def train(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Train a classifier on shards: train FILE data=DIR output=DIR [workers=N] [objective.name=...]."""
    with heartbeat(lambda: "loading torch, Ray and MLflow"):
        from pipeline.cluster import connect
        from pipeline.tracked_stages import tracked_training
        from preprocessing.storage.output_lock import held
        from training.config import TrainConfig
        from training.run import check_without_ray

    config = loaded(TrainConfig, words)
    with heartbeat(lambda: f"looking at data='{config.data}' and output='{config.output}'"):
        check_without_ray(config)
    with held(config.output, command="train"), connect():
        tracked_training(config, tracking=tracking)


@app.command(cls=SettingsCommand)
def tune(words: Words = None, tracking: TrackingOption = "required") -> None:
    """Search settings of a training: tune FILE data=DIR output=DIR [trials=N]. Writes OUTPUT/best.yaml for `train`."""
    from pipeline.cluster import connect
    from pipeline.search.tune import TuneConfig, first_trial, search
    from preprocessing.storage.output_lock import held
    from training.run import check_without_ray

    config = loaded(TuneConfig, words)
    check_without_ray(first_trial(config))
    with held(config.output, command="tune"), connect(show_workers=False):
        search(config, tracking=tracking)
