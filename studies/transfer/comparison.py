"""`make bench-transfer`: do TIA, MMA and TMA, in any reading, carry over to other models better than MI-FGSM does?

`python -m studies.transfer [key=value ...]`, such as `data=runs/ks/dataset output=runs/ks/transfer`. Trains a few
standard classifiers per seed, makes every attack on each of them with the same number of backward passes, and looks at
what becomes of the clips on the model itself and on the others. Classifiers and successes are kept: run again, it goes
on where it was.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
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
from studies.outcomes import Clips, Job, clean_rights, outcomes
from studies.side_by_side import side_by_side
from studies.successes import Measured, Successes, on_victim, transfer, white_box
from studies.trainings import Training, name_of, trained
from studies.transfer.attacks import BASELINE, compared
from studies.transfer.picture import draw
from training.config import TrainConfig
from training.models import ModelConfig
from training.threat import ThreatModel

logger = logging.getLogger(__name__)

DEMO_DATA = "runs/demo/dataset"
tiny = partial(ModelConfig, video_encoder="tiny", audio_encoder="tiny")


class TransferConfig(Settings):
    """What is compared, and on what."""

    data: Place = DEMO_DATA
    """Preprocessed data set; the demo's is made if it is missing."""
    output: str = "runs/bench"
    """Folder that receives `transfer.json`, `transfer.png` and, in `transfer/`, what is kept for the next run."""
    models: Annotated[tuple[ModelConfig, ...], Field(min_length=2)] = (
        tiny(fusion="sum", feature_size=64),
        tiny(fusion="concat", feature_size=64),
        tiny(fusion="sum", feature_size=128),
    )
    """The classifiers of each seed: every one is attacked, and a victim of the others."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    """Each trains all classifiers anew."""
    victims: tuple[str, ...] = ()
    """Finished checkpoints that become victims of every seed, such as `runs/demo/robust/checkpoint`."""
    epochs: PositiveInt = 20
    """Of each training; all other settings are those of the demo's undefended model."""
    batch_size: PositiveInt = 32
    """Of each training."""
    splits: Annotated[tuple[Split, ...], Field(min_length=1)] = ("validation", "test")
    """Where the attacked clips come from; neither decides anything about the classifiers."""
    num_clips: PositiveInt = 96
    """The first so many clips of these splits together."""
    num_gradients: PositiveInt = 6
    """Backward passes per clip of every attack but FGSM; an even number, so that readings over copies spend all."""
    threats: Annotated[tuple[ThreatModel, ...], Field(min_length=1)] = (
        ThreatModel(video=2 / 255, audio=2 / 255),
        ThreatModel(video=4 / 255, audio=4 / 255),
    )
    """Budgets, one table each. Where nearly all clips are fooled, or nearly none, attacks cannot be told apart: at
    8/255 MI-FGSM carries over on nine in ten clips of the demo's small classifiers."""
    processes: PositiveInt = 2
    """Processes that train and attack, one thread each."""


@dataclass(frozen=True)
class Results:
    """Measured successes per attack under one threat model."""

    clean_accuracies: dict[str, float]
    """Share of the clips that each model gets right when clean, the mean over seeds."""
    kinds: dict[str, dict[str, Measured]]
    """`white-box`, `transfer`, and `on ...` for each given checkpoint."""


def main(words: Sequence[str]) -> int:
    """Measure, write and show; 0 done, 2 a setting that is not allowed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        config = load(TransferConfig, changes=words)
        if config.num_gradients % 2:
            raise ValueError(f"num_gradients={config.num_gradients} is odd; readings over copies need an even number")
        found = measure(config)
    except (ConfigError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    folder = Path(config.output)
    rows = [
        as_json(row(name, threat, results, config))
        for threat, results in found.items()
        for name in results.kinds["transfer"]
    ]
    (folder / "transfer.json").write_text(json.dumps(rows, indent=2) + "\n")
    panels = {f"{kind}, {threat}": each for threat, results in found.items() for kind, each in results.kinds.items()}
    draw(panels, baseline=BASELINE, path=folder / "transfer.png")
    for threat, results in found.items():
        show(threat, results, config)
    print(f"written to {folder / 'transfer.json'} and {folder / 'transfer.png'}")
    return 0


def measure(config: TransferConfig) -> dict[ThreatModel, Results]:
    """Train what is not trained yet, make every attack that is not made yet, and count."""
    if config.data == DEMO_DATA:
        make_demo_data(DEMO_DATA)
    folder = Path(config.output) / "transfer"
    clips = Clips(config.data, config.splits, config.num_clips)
    attacks = compared(num_gradients=config.num_gradients, num_segments=load_index(config.data).format.num_segments)
    trainings = [training(config, model, seed) for seed, model in product(config.seeds, config.models)]
    surrogates = side_by_side(
        "training", partial(trained, folder=folder / "models"), trainings, processes=config.processes
    )
    given = tuple(Path(victim) for victim in config.victims)
    jobs = [
        Job(
            clips=clips,
            surrogate=surrogate,
            victims=(*(each.checkpoint for each in surrogates if each.seed == surrogate.seed), *given),
            threat=threat,
            attacks=attacks,
            folder=folder / "outcomes",
        )
        for surrogate, threat in product(surrogates, config.threats)
    ]
    found = side_by_side("attacking", outcomes, jobs, processes=config.processes)
    made = dict(zip([str(job) for job in jobs], found, strict=True))
    of_seed = {job.surrogate.seed: job.victims for job in jobs}
    is_right = np.stack([clean_rights(clips, of_seed[seed]) for seed in config.seeds])
    names = [name_of(model) for model in config.models] + list(config.victims)

    def under(threat: ThreatModel) -> Results:
        of_threat = [made[str(job)] for job in jobs if job.threat == threat]
        by_seed = {name: np.stack([each[name] for each in of_threat]) for name in attacks}
        shape = (len(config.seeds), len(config.models), *is_right.shape[1:])
        successes = Successes(is_right, {name: each.reshape(shape) for name, each in by_seed.items()})
        kinds = {"white-box": white_box(successes, BASELINE), "transfer": transfer(successes, BASELINE)}
        for number, victim in enumerate(config.victims, start=len(config.models)):
            kinds[f"on {victim}"] = on_victim(successes, BASELINE, number)
        return Results(dict(zip(names, is_right.mean((0, 2)).tolist(), strict=True)), kinds)

    return {threat: under(threat) for threat in config.threats}


def training(config: TransferConfig, model: ModelConfig, seed: int) -> Training:
    """How one classifier is trained: as the demo's undefended one."""
    changes = {
        "data": config.data,
        "workers": 1,
        "seed": seed,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        **{f"model.{name}": value for name, value in model.model_dump().items()},
    }
    return Training(name_of(model), load(TrainConfig, CONFIGS / "train" / "demo_standard.yaml", changes))


def row(name: str, threat: ThreatModel, results: Results, config: TransferConfig) -> Row:
    """Success on other models as a ratio to MI-FGSM's."""
    carried = results.kinds["transfer"]
    detail: dict[str, object] = {kind: asdict(measured[name]) for kind, measured in results.kinds.items()}
    detail |= {"clean_accuracies": results.clean_accuracies, "settings": config.model_dump(mode="json")}
    usual = carried[BASELINE].rate
    ratio = carried[name].rate / usual if usual else f"{BASELINE} fools no other model"
    return Row(f"transfer of {name}, {threat}", ratio, "1.00 or more", detail)


def show(threat: ThreatModel, results: Results, config: TransferConfig) -> None:
    """Print the table of one threat model."""
    accuracies = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in results.clean_accuracies.items())
    table = Table(
        title=f"{config.data}, {threat}: {len(config.seeds)} seeds, {config.num_gradients} gradients; {machine()}",
        caption=f"clean accuracy: {accuracies}. In brackets: 95 % over clips and seeds, paired with {BASELINE}.",
    )
    table.add_column("attack")
    for kind in results.kinds:
        table.add_column(kind, justify="right")
        table.add_column(f"minus {BASELINE}", justify="right")
    for name in results.kinds["transfer"]:
        cells = []
        for measured in results.kinds.values():
            low, high = measured[name].difference_interval
            difference = f"{100 * measured[name].difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
            cells += [f"{measured[name].rate:.1%}", difference]
        table.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
