"""`make bench-training`: is the curriculum's robustness cheaper than that of the best efficient methods?

`python -m studies.training [key=value ...]`, such as `data=runs/ks/dataset output=runs/ks/training`. Chooses the
settings of the peers with the curriculum's means on validation clips, trains every method with several seeds, one
process per core, attacks what comes out, counts the clips that withstand everything, and then times all methods in
turns. Trainings and outcomes are kept: run again, it goes on where it was. All trainings of a seed are finished before
the next seed begins.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
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
from preprocessing.storage.records import load_index
from studies.demo_data import CONFIGS, make_demo_data
from studies.side_by_side import side_by_side
from studies.training.candidates import candidates
from studies.training.costs import Cost, cpu_seconds, validation_passes
from studies.training.headlines import Results, headlines
from studies.training.methods import CURRICULUM, PEER, STRONGEST, Method, ablations, methods
from studies.training.outcomes import Clips, Job, clean_rights, outcomes
from studies.training.picture import draw
from studies.training.shares import Measured, shares
from studies.training.trainings import Trained, Training, trained
from studies.training.tuning import Trial, Tuning, best
from training.attacks import APGD, PGD, TMA, WorstCase
from training.config import TrainConfig
from training.threat import ThreatModel

logger = logging.getLogger(__name__)

DATA = "runs/bench/training/dataset"
FORMAT = {
    "dataset.root": "runs/bench/training/videos",
    "dataset.num_validation": 384,
    "format.frame_size": 24,
    "format.num_mels": 32,
}
"""The demo's clips in smaller frames and patches, so that some seventy trainings take two hours, and with more to
choose settings by."""
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
    num_tuning_clips: PositiveInt = 384
    """The first so many validation clips choose the settings of the peers with the curriculum's means."""
    num_validation_clips: PositiveInt = 96
    """The first so many of them are counted as the cost of validating each epoch; the demo has so many."""
    processes: PositiveInt = 2
    """Processes that train and attack, one thread each."""


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
    tuned = tune(config, wanted)
    known = {**methods(), **{name: best(trials).method for name, trials in tuned.items()}, **ablations()}
    results = measure(config, {name: known[name] for name in wanted})
    folder = Path(config.output)
    rows = [*headlines(results), *(row(name, results, config, tuned.get(name, ())) for name in results.passes)]
    (folder / "training.json").write_text(json.dumps([as_json(each) for each in rows], indent=2) + "\n")
    seconds = {name: cost.training for name, cost in results.cpu_seconds.items()}
    peers = [*methods(), *candidates()]
    draw(seconds, results.shares, peers=peers, reference=PEER, path=folder / "training.png")
    show(rows, results, config)
    print(f"written to {folder / 'training.json'} and {folder / 'training.png'}")
    return 0


def chosen(config: BenchmarkConfig) -> tuple[str, ...]:
    """Names of the methods that are asked for, the curriculum always among them.

    Raises:
        ValueError: if there is none of that name, or if its settings would be chosen on the clips that judge it.
    """
    known = [*methods(), *candidates(), *ablations()]
    if unknown := sorted(set(config.methods) - set(known)):
        raise ValueError(f"methods: no {', '.join(unknown)}; allowed: {', '.join(known)}")
    found = tuple(name for name in known if not config.methods or name in {*config.methods, CURRICULUM})
    if config.split == "validation" and (tuned := [name for name in found if name in candidates()]):
        raise ValueError(
            f"split=validation would judge {', '.join(tuned)} on the clips that choose their settings: set split=test, "
            "or methods to others"
        )
    return found


def tune(config: BenchmarkConfig, wanted: Sequence[str]) -> dict[str, list[Trial]]:
    """Train and attack every setting of the methods among `wanted` whose settings are to be chosen."""
    tuning = Tuning(
        config_of=partial(train_config, config),
        clips=Clips(config.data, ("validation",), config.num_tuning_clips),
        threat=THREATS["joint"],
        folder=Path(config.output) / "training",
        processes=config.processes,
    )
    return tuning.trials({name: each for name, each in candidates().items() if name in wanted})


def measure(config: BenchmarkConfig, wanted: Mapping[str, Method]) -> Results:
    """Train what is not trained yet, attack what is not attacked yet, and count."""
    folder = Path(config.output) / "training"
    wishes = [
        Training(name, train_config(config, method, seed))
        for seed, (name, method) in product(config.seeds, wanted.items())
        if seed in seeds_of(name, config)
    ]
    models = side_by_side("training", partial(trained, folder=folder / "models"), wishes, processes=config.processes)
    is_right = correct_clips(models, config, folder / "outcomes")
    configs = {name: train_config(config, method, config.seeds[0]) for name, method in wanted.items()}
    of_training = {each.name: each.passes for each in models}
    repeated = [name for name in wanted if seeds_of(name, config) == config.seeds]
    return Results(
        cpu_seconds=cpu_seconds(configs),
        passes={name: Cost(of_training[name], _validation_passes(each)) for name, each in configs.items()},
        shares={kind: compared(config, right, wanted, baseline=CURRICULUM) for kind, right in is_right.items()},
        to_strongest=compared(config, is_right["joint"], repeated, baseline=STRONGEST) if STRONGEST in wanted else {},
    )


def compared(
    config: BenchmarkConfig,
    is_right: Mapping[Trained, Bool[np.ndarray, " clips"]],
    names: Iterable[str],
    *,
    baseline: str,
) -> dict[str, Measured]:
    """Each method's share of the clips that are right, beside the baseline's with the same seeds."""
    return {
        name: shares({each: _of_seeds(is_right, each, seeds_of(name, config)) for each in (name, baseline)}, baseline)[
            name
        ]
        for name in names
    }


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
    return config.seeds[: config.num_ablation_seeds] if name in ablations() else config.seeds


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
        "validation.limit": config.num_validation_clips,
    }
    return load(TrainConfig, CONFIGS / "train" / "demo_standard.yaml", changes)


def _validation_passes(config: TrainConfig) -> float:
    num_clips = load_index(config.data).num_clips
    return validation_passes(config, num_train=num_clips["train"], num_validation=num_clips["validation"])


def row(name: str, results: Results, config: BenchmarkConfig, trials: Sequence[Trial] = ()) -> Row:
    """One method: its worst-case robust accuracy as a ratio to the curriculum's; `trials` chose its settings."""
    joint = results.shares["joint"]
    detail: dict[str, object] = {kind: asdict(measured[name]) for kind, measured in results.shares.items()}
    detail |= {
        "cpu_seconds": asdict(results.cpu_seconds[name]),
        "passes": asdict(results.passes[name]),
        "settings": config.model_dump(mode="json"),
    }
    if trials:
        detail["trials"] = [each.as_json() for each in trials]
    best = joint[CURRICULUM].rate
    return Row(f"robust accuracy of {name}", joint[name].rate / best if best else "none", "1.00 or less", detail)


def show(rows: Sequence[Row], results: Results, config: BenchmarkConfig) -> None:
    """Print the table of methods, then the aims."""
    table = Table(
        title=f"{config.data}, {THREATS['joint']}: {len(config.seeds)} seeds, {config.epochs} epochs; {machine()}",
        caption=f"In brackets: 95 % over clips and seeds, paired with the {CURRICULUM}. Validated: each epoch's "
        "validation counted, too.",
    )
    for heading in (
        "method",
        "CPU s",
        "validated",
        "passes",
        "validated",
        "clean",
        "joint",
        f"minus {CURRICULUM}",
        "video",
        "audio",
    ):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for name, cost in results.cpu_seconds.items():
        rates = {kind: f"{each[name].rate:.1%}" for kind, each in results.shares.items()}
        joint = results.shares["joint"][name]
        low, high = joint.difference_interval
        difference = (
            f"{100 * joint.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]" if name != CURRICULUM else ""
        )
        passes = results.passes[name]
        costs = (f"{cost.training:.0f}", f"{cost.total:.0f}", f"{passes.training:.1f}", f"{passes.total:.1f}")
        table.add_row(name, *costs, rates["clean"], rates["joint"], difference, rates["video"], rates["audio"])
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for each in rows:
        if not each.name.startswith("robust accuracy of"):
            shown = each.ratio if isinstance(each.ratio, str) else f"{each.ratio:.3f}"
            console.print(f"{each.name}: {shown} (aim: {each.aim}) {each.detail}")
