"""`make bench-training`: is the curriculum's robustness cheaper than that of the best efficient methods?

`python -m studies.training [key=value ...]`, such as `data=runs/ks/dataset output=runs/ks/training`. Trains every
method with several seeds, one process per core, attacks what comes out, counts the clips that withstand everything, and
then times all methods in turns. Trainings and outcomes are kept: run again, it goes on where it was. All trainings of a
seed are finished before the next seed begins.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Bool
from pydantic import Field, PositiveInt
from rich.console import Console
from rich.table import Table

from benchmarks.row import Row, as_json, machine
from pipeline.settings.load import ConfigError, load
from preprocessing.schema import Split
from preprocessing.settings import Settings
from preprocessing.storage.places import Place
from studies.demo_data import CONFIGS, make_demo_data
from studies.outcomes import Clips, Job, clean_rights, outcomes
from studies.side_by_side import side_by_side
from studies.successes import Measured, shares
from studies.training.costs import cpu_seconds
from studies.training.methods import CURRICULUM, PEER, Method, ablations, methods
from studies.training.picture import draw
from studies.trainings import Trained, Training, trained
from training.attacks import APGD, PGD, TMA, WorstCase
from training.config import TrainConfig
from training.threat import ThreatModel

logger = logging.getLogger(__name__)

DATA = "runs/bench/training/dataset"
FORMAT = {"dataset.root": "runs/bench/training/videos", "format.frame_size": 24, "format.num_mels": 32}
"""The demo's clips in smaller frames and patches, so that some forty trainings take an hour."""
ATTACK = WorstCase(attacks=(PGD(steps=20), PGD(steps=20, loss="margin"), TMA(steps=10), APGD(steps=20)))
"""A clip counts as robust if it withstands all of them."""
EPSILON = 4 / 255
THREATS = {
    "joint": ThreatModel(video=EPSILON, audio=EPSILON),
    "video": ThreatModel(video=EPSILON, audio=0.0),
    "audio": ThreatModel(video=0.0, audio=EPSILON),
}


class BenchmarkConfig(Settings):
    """The methods compared, and the data they are compared on."""

    data: Place = DATA
    """Preprocessed data set; if it is the default and missing, it is made."""
    output: str = "runs/bench"
    """Folder that receives `training.json`, `training.png` and, in `training/`, what is kept for the next run."""
    methods: tuple[str, ...] = ()
    """Names of the methods to compare beside the curriculum; none = all, with all ablations."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    """Each trains all methods anew."""
    num_ablation_seeds: PositiveInt = 1
    """The first so many of them train the ablations, too."""
    epochs: PositiveInt = 20
    """Passes over the training clips; all that is not said here is as in the demo's undefended training."""
    batch_size: PositiveInt = 32
    """Clips per step of each training."""
    split: Split = "test"
    """The split that is attacked; nothing about the trainings was chosen by it."""
    num_clips: PositiveInt = 200
    """The first so many clips of it."""
    processes: PositiveInt = 2
    """Processes that train and attack, one thread each."""


@dataclass(frozen=True)
class Results:
    """Measurements, by method."""

    cpu_seconds: dict[str, float]
    """CPU seconds of one training."""
    passes: dict[str, float]
    """Passes of one training: mean of forward and backward passes per training clip."""
    shares: dict[str, dict[str, Measured]]
    """`clean`, `joint`, `video`, `audio`: the share of clips that are right; differences are to the curriculum."""

    def difference(self, name: str, kind: str) -> tuple[float, tuple[float, float]]:
        """The curriculum's share minus this method's, with its interval."""
        found = self.shares[kind][name]
        low, high = found.difference_interval
        return -found.difference, (-high, -low)


def main(words: Sequence[str]) -> int:
    """Measure, write and show; 0 done, 2 a setting that is not allowed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        config = load(BenchmarkConfig, changes=words)
        wanted = chosen(config)
    except (ConfigError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if config.data == DATA:
        make_demo_data(DATA, FORMAT)
    results = measure(config, wanted)
    folder = Path(config.output)
    rows = [*headlines(results), *(row(name, results, config) for name in wanted)]
    (folder / "training.json").write_text(json.dumps([as_json(each) for each in rows], indent=2) + "\n")
    draw(results.cpu_seconds, results.shares, peers=list(methods()), reference=PEER, path=folder / "training.png")
    show(rows, results, config)
    print(f"written to {folder / 'training.json'} and {folder / 'training.png'}")
    return 0


def chosen(config: BenchmarkConfig) -> dict[str, Method]:
    """The methods that are asked for, the curriculum always among them.

    Raises:
        ValueError: if there is none of that name.
    """
    known = methods() | ablations()
    if unknown := sorted(set(config.methods) - set(known)):
        raise ValueError(f"methods: no {', '.join(unknown)}; allowed: {', '.join(known)}")
    return {name: each for name, each in known.items() if not config.methods or name in {*config.methods, CURRICULUM}}


def measure(config: BenchmarkConfig, wanted: dict[str, Method]) -> Results:
    """Train what is not trained yet, attack what is not attacked yet, and count."""
    folder = Path(config.output) / "training"
    wishes = [
        Training(name, train_config(config, method, seed))
        for seed, (name, method) in product(config.seeds, wanted.items())
        if seed in seeds_of(name, config)
    ]
    models = side_by_side("training", partial(trained, folder=folder / "models"), wishes, processes=config.processes)
    is_right = correct_clips(models, config, folder / "outcomes")
    return Results(
        cpu_seconds=cpu_seconds(
            {name: train_config(config, method, config.seeds[0]) for name, method in wanted.items()}
        ),
        passes={each.name: each.passes for each in models},
        shares={
            kind: {
                name: shares(
                    {each: _of_seeds(right, each, seeds_of(name, config)) for each in (name, CURRICULUM)}, CURRICULUM
                )[name]
                for name in wanted
            }
            for kind, right in is_right.items()
        },
    )


def correct_clips(
    models: Sequence[Trained], config: BenchmarkConfig, folder: Path
) -> dict[str, dict[Trained, Bool[np.ndarray, " clips"]]]:
    """Clips that each model gets right, as truths: untouched, and under the worst attack in each kind of ball."""
    clips = Clips(config.data, (config.split,), config.num_clips)
    jobs = [
        Job(clips, model, (model.checkpoint,), threat, {"worst case": ATTACK}, folder)
        for model, threat in product(models, THREATS.values())
    ]
    found = side_by_side("attacking", outcomes, jobs, processes=config.processes)
    is_wrong = {(job.surrogate, job.threat): each["worst case"][0] for job, each in zip(jobs, found, strict=True)}
    is_right = dict(zip(models, clean_rights(clips, tuple(model.checkpoint for model in models)), strict=True))
    kinds = {
        kind: {model: ~is_wrong[model, threat] & is_right[model] for model in models}
        for kind, threat in THREATS.items()
    }
    # What fools a model in one modality lies in the joint ball too.
    kinds["joint"] = {model: np.all([each[model] for each in kinds.values()], axis=0) for model in models}
    return {"clean": is_right} | kinds


def seeds_of(name: str, config: BenchmarkConfig) -> tuple[int, ...]:
    """The seeds that train a method."""
    return config.seeds if name in methods() else config.seeds[: config.num_ablation_seeds]


def _of_seeds(
    is_right: Mapping[Trained, Bool[np.ndarray, " clips"]], name: str, seeds: Sequence[int]
) -> Bool[np.ndarray, "seeds clips"]:
    return np.stack([right for model, right in is_right.items() if model.name == name and model.seed in seeds])


def train_config(config: BenchmarkConfig, method: Method, seed: int) -> TrainConfig:
    """Settings of one training."""
    changes = {
        "data": config.data,
        "workers": 1,
        "seed": seed,
        "epochs": max(1, round(config.epochs * method.epochs_factor)),
        "batch_size": config.batch_size,
        "objective": method.objective.model_dump(),
    }
    return load(TrainConfig, CONFIGS / "train" / "demo_standard.yaml", changes)


def headlines(results: Results) -> list[Row]:
    """The aims: cheaper than PGD-AT where robustness ties, and no weaker than single-step training at its cost."""
    rows = []
    if PEER in results.passes:
        gain, interval = results.difference(PEER, "joint")
        ratio = results.cpu_seconds[CURRICULUM] / results.cpu_seconds[PEER]
        detail: dict[str, object] = {
            "gain": gain,
            "gain_interval": interval,
            "passes_ratio": results.passes[CURRICULUM] / results.passes[PEER],
        }
        tied = interval[1] >= 0.0
        shown = ratio if tied else f"no tie: {100 * gain:+.1f} points at {ratio:.2f} of the cost"
        rows.append(Row("curriculum_vs_pgd_at", shown, "0.63 or less", detail))
        gain, interval = results.difference(PEER, "clean")
        rows.append(Row("curriculum_clean_gain_over_pgd_at", gain, "0 or more", {"gain_interval": interval}))
    for name in ("FGSM-RS", "N-FGSM"):
        if name in results.passes:
            gain, interval = results.difference(name, "joint")
            detail = {
                "gain_interval": interval,
                "cpu_ratio": results.cpu_seconds[CURRICULUM] / results.cpu_seconds[name],
                "passes_ratio": results.passes[CURRICULUM] / results.passes[name],
            }
            rows.append(Row(f"curriculum_gain_at_equal_cost ({name})", gain, "0 or more", detail))
    return rows


def row(name: str, results: Results, config: BenchmarkConfig) -> Row:
    """One method: its worst-case robust accuracy as a ratio to the curriculum's."""
    joint = results.shares["joint"]
    detail: dict[str, object] = {kind: asdict(measured[name]) for kind, measured in results.shares.items()}
    detail |= {
        "cpu_seconds": results.cpu_seconds[name],
        "passes": results.passes[name],
        "settings": config.model_dump(mode="json"),
    }
    best = joint[CURRICULUM].rate
    return Row(f"robust accuracy of {name}", joint[name].rate / best if best else "none", "1.00 or less", detail)


def show(rows: Sequence[Row], results: Results, config: BenchmarkConfig) -> None:
    """Print the table of methods, then the aims."""
    table = Table(
        title=f"{config.data}, {THREATS['joint']}: {len(config.seeds)} seeds, {config.epochs} epochs; {machine()}",
        caption=f"In brackets: 95 % over clips and seeds, paired with the {CURRICULUM}.",
    )
    for heading in ("method", "CPU s", "passes", "clean", "joint", f"minus {CURRICULUM}", "video", "audio"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for name, seconds in results.cpu_seconds.items():
        rates = {kind: f"{each[name].rate:.1%}" for kind, each in results.shares.items()}
        joint = results.shares["joint"][name]
        low, high = joint.difference_interval
        difference = (
            f"{100 * joint.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]" if name != CURRICULUM else ""
        )
        passes = f"{results.passes[name]:.1f}"
        table.add_row(
            name, f"{seconds:.0f}", passes, rates["clean"], rates["joint"], difference, rates["video"], rates["audio"]
        )
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for each in rows:
        if each.name.startswith("curriculum"):
            shown = each.ratio if isinstance(each.ratio, str) else f"{each.ratio:.3f}"
            console.print(f"{each.name}: {shown} (aim: {each.aim}) {each.detail}")
