"""The whole path on a small data set of real MP4 files: what attacks do to a standard model, what the defence holds."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from evaluation.comparison import compare
from evaluation.comparison.result import Comparison
from evaluation.comparison.tables import print_tables
from evaluation.config import EvaluateConfig
from pipeline.settings.load import load, override
from pipeline.tracked_stages import tracked_evaluation, tracked_training
from pipeline.tracking.choice import Tracking
from preprocessing.config import PreprocessConfig
from preprocessing.run import preprocess
from preprocessing.settings import Settings
from training.config import TrainConfig

logger = logging.getLogger(__name__)

CONFIGS = Path(__file__).parent / "configs"
MODELS = ("standard", "robust")
OWN_CONFIGS = ("preprocess/folder.yaml", "train/tma_curriculum.yaml")
"""The files for a user's own videos."""
CHECKPOINT_AND_VIDEOS = (("robust", "checkpoint"), ("videos", "test"))
"""The demo's model that is tried on videos, and these."""


class DemoConfig(Settings):
    """The demo's few settings; everything else stands in the YAML files `demo*.yaml` of each command."""

    output: str = "runs/demo"
    """Folder that receives `videos/`, `dataset/`, `standard/`, `robust/` and the files of a comparison."""
    seed: NonNegativeInt = 0
    """Seed of the clips, the models and the attacks."""
    workers: PositiveInt = 2
    """Ray workers of each training and each evaluation."""


def run_demo(config: DemoConfig, *, tracking: Tracking = "required") -> Comparison:
    """Make clips, preprocess, train a standard and a robust model, attack both, compare; the caller connects to Ray.

    Running it again continues: what is finished is not done twice.
    """
    started = time.monotonic()
    trainings = {name: training_of(name, config) for name in MODELS}
    with _timed("making and preprocessing clips"):
        preprocess(clips_of(config))
    checkpoints = {}
    for name, training in trainings.items():
        with _timed(f"training the {name} model"):
            checkpoints[name] = tracked_training(training, tracking=tracking).checkpoint
    for name in MODELS:
        with _timed(f"attacking the {name} model"):
            tracked_evaluation(evaluation_of(name, config, checkpoints), tracking=tracking)
    comparison = compare({name: f"{config.output}/{name}" for name in MODELS}, config.output)
    print_tables(comparison)
    for name in MODELS:
        logger.info("report of the %s model: %s/%s/report.html", name, config.output, name)
    logger.info("both side by side: %s/comparison.html", config.output)
    logger.info("the demo took %.0f s", time.monotonic() - started)
    return comparison


def next_steps(config: DemoConfig) -> str:
    """The three commands with which a user goes on, for a shell in the folder in which the demo ran."""
    own = Path(config.output).parent / "mine"
    dataset, robust = _seen_from_here(own / "dataset"), _seen_from_here(own / "robust")
    checkpoint, videos = (_seen_from_here(Path(config.output, *parts)) for parts in CHECKPOINT_AND_VIDEOS)
    folder, curriculum = (_seen_from_here(CONFIGS / name) for name in OWN_CONFIGS)
    commands = (
        ["preprocess", folder, "dataset.root=videos", f"output={dataset}"],
        ["train", curriculum, f"data={dataset}", f"output={robust}"],
        ["predict", checkpoint, videos],
    )
    preprocess_own, train_own, classify = (
        f"  {shlex.join([_seen_from_here(Path(sys.executable)), '-m', 'pipeline', *words])}" for words in commands
    )
    return f"""
Next: a data set and a robust model of your own videos, one folder per class (videos/<class>/<name>.mp4)
{preprocess_own}
{train_own}
and the classes of any video; here the demo's model says those of its test videos
{classify}
"""


def clips_of(config: DemoConfig) -> PreprocessConfig:
    """The clips and the data set that is made of them."""
    changes = {
        "dataset.root": f"{config.output}/videos",
        "dataset.seed": config.seed,
        "output": f"{config.output}/dataset",
    }
    return override(load(PreprocessConfig, CONFIGS / "preprocess" / "demo.yaml"), changes)


def training_of(name: str, config: DemoConfig) -> TrainConfig:
    """The training of one of `MODELS`."""
    return override(load(TrainConfig, CONFIGS / "train" / f"demo_{name}.yaml"), _shared(name, config))


def evaluation_of(name: str, config: DemoConfig, checkpoints: Mapping[str, Path]) -> EvaluateConfig:
    """The evaluation of what came of that training; an attack is crafted on the other models as well."""
    others = [str(checkpoint) for other, checkpoint in checkpoints.items() if other != name]
    changes = _shared(name, config) | {"checkpoint": str(checkpoints[name]), "surrogates": others}
    return override(load(EvaluateConfig, CONFIGS / "evaluate" / "demo.yaml"), changes)


def _shared(name: str, config: DemoConfig) -> dict[str, object]:
    """Settings that the training and the evaluation of a model have in common."""
    return {
        "data": f"{config.output}/dataset",
        "output": f"{config.output}/{name}",
        "seed": config.seed,
        "workers": config.workers,
    }


def _seen_from_here(path: Path) -> str:
    """A path relative to the current folder, if it lies in it."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    logger.info("%s took %.0f s", what, time.monotonic() - started)
