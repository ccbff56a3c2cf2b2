"""`make bench-transfer`: do TIA, MMA and TMA, in any reading, carry over to other models better than MI-FGSM does?

`python -m benchmarks.transfer [key=value ...]`, such as `data=runs/ks/dataset output=runs/ks/transfer`. Trains a few
standard classifiers per seed, makes every attack on each of them with the same number of backward passes, and looks at
what becomes of the clips on the model itself and on the others. Classifiers and successes are kept: run again, it goes
on where it was.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import torch
from pydantic import Field, PositiveInt
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import as_json, machine
from benchmarks.outcomes import Clips, Job, clean_rights, outcomes
from benchmarks.row import Row
from benchmarks.successes import Measured, Successes, on_victim, transfer, white_box
from benchmarks.surrogates import trained
from benchmarks.transfer_attacks import BASELINE, compared
from benchmarks.transfer_picture import draw
from pipeline.cluster import connect
from pipeline.config import ConfigError, load
from preprocessing.config import PreprocessConfig
from preprocessing.run import preprocess
from preprocessing.schema import INDEX_NAME, Place, Settings, Split, load_index
from training.config import TrainConfig
from training.models import ModelConfig
from training.threat import ThreatModel

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "pipeline" / "configs"
DEMO_DATA = "runs/demo/dataset"
tiny = partial(ModelConfig, video_encoder="tiny", audio_encoder="tiny")
Item = TypeVar("Item")
Result = TypeVar("Result")


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
    white_box: ThreatModel = ThreatModel(video=2 / 255, audio=2 / 255)
    """Budget of the attacks judged on the model they were made on: so small that not every clip is fooled."""
    transfer: ThreatModel = ThreatModel(video=8 / 255, audio=8 / 255)
    """Budget of the attacks judged on other models."""
    processes: PositiveInt = 2
    """Processes that train and attack, one thread each."""


@dataclass(frozen=True)
class Results:
    """Measured successes per attack."""

    clean_accuracies: dict[str, float]
    """Share of the clips that each model gets right when clean, the mean over seeds."""
    white_box: dict[str, Measured]
    transfer: dict[str, Measured]
    victims: dict[str, dict[str, Measured]]
    """On each given checkpoint."""


def main(words: Sequence[str]) -> int:
    """Measure, write and show; 0 done, 2 a setting that is not allowed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        config = load(TransferConfig, changes=words)
        if config.num_gradients % 2:
            raise ValueError(f"num_gradients={config.num_gradients} is odd; readings over copies need an even number")
        results = measure(config)
    except (ConfigError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    folder = Path(config.output)
    rows = [as_json(row(name, results, config)) for name in results.transfer]
    (folder / "transfer.json").write_text(json.dumps(rows, indent=2) + "\n")
    draw(results.white_box, results.transfer, baseline=BASELINE, path=folder / "transfer.png")
    show(results, config)
    print(f"written to {folder / 'transfer.json'} and {folder / 'transfer.png'}")
    return 0


def measure(config: TransferConfig) -> Results:
    """Train what is not trained yet, make every attack that is not made yet, and count."""
    make_data(config)
    folder = Path(config.output) / "transfer"
    clips = Clips(config.data, config.splits, config.num_clips)
    attacks = compared(num_gradients=config.num_gradients, num_segments=load_index(config.data).format.num_segments)
    trainings = [training(config, model, seed) for seed, model in product(config.seeds, config.models)]
    surrogates = side_by_side(config, "training", partial(trained, folder=folder / "models"), trainings)
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
        for surrogate, threat in product(surrogates, (config.white_box, config.transfer))
    ]
    made = dict(zip([str(job) for job in jobs], side_by_side(config, "attacking", outcomes, jobs), strict=True))
    rights = [clean_rights(clips, jobs[2 * len(config.models) * number].victims) for number in range(len(config.seeds))]

    def under(threat: ThreatModel) -> Successes:
        found = [made[str(job)] for job in jobs if job.threat == threat]
        shape = (len(config.seeds), len(config.models))
        stacked = {name: np.stack([each[name] for each in found]) for name in attacks}
        wrong = {name: each.reshape(*shape, *each.shape[1:]) for name, each in stacked.items()}
        return Successes(is_right=np.stack(rights), is_wrong=wrong)

    carried = under(config.transfer)
    names = [surrogate.name for surrogate in surrogates[: len(config.models)]] + list(config.victims)
    return Results(
        clean_accuracies=dict(zip(names, carried.is_right.mean((0, 2)).tolist(), strict=True)),
        white_box=white_box(under(config.white_box), BASELINE),
        transfer=transfer(carried, BASELINE),
        victims={
            name: on_victim(carried, BASELINE, len(config.models) + number)
            for number, name in enumerate(config.victims)
        },
    )


def make_data(config: TransferConfig) -> None:
    """Preprocess the demo's clips if they are wanted and missing."""
    if config.data == DEMO_DATA and not (Path(DEMO_DATA) / INDEX_NAME).exists():
        with connect():
            preprocess(load(PreprocessConfig, CONFIGS / "preprocess" / "demo.yaml"))


def training(config: TransferConfig, model: ModelConfig, seed: int) -> TrainConfig:
    """How one classifier is trained: as the demo's undefended one."""
    changes = {
        "data": config.data,
        "workers": 1,
        "seed": seed,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        **{f"model.{name}": value for name, value in model.model_dump().items()},
    }
    return load(TrainConfig, CONFIGS / "train" / "demo_standard.yaml", changes)


def side_by_side(
    config: TransferConfig, what: str, work: Callable[[Item], Result], items: Iterable[Item]
) -> list[Result]:
    """The results of `work`, in order, from processes of one thread each; says how far it is."""
    todo = list(items)
    results: list[Result] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        config.processes, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        for result in pool.map(work, todo):
            results.append(result)
            logger.info("%s: %d of %d", what, len(results), len(todo))
    return results


def row(name: str, results: Results, config: TransferConfig) -> Row:
    """Success on other models as a ratio to MI-FGSM's."""
    found = results.transfer[name]
    detail: dict[str, object] = {
        "transfer": asdict(found),
        "white_box": asdict(results.white_box[name]),
        **{f"on {victim}": asdict(measured[name]) for victim, measured in results.victims.items()},
        "clean_accuracies": results.clean_accuracies,
        "settings": config.model_dump(mode="json"),
    }
    return Row(
        name=f"transfer of {name}",
        ratio=found.rate / results.transfer[BASELINE].rate if results.transfer[BASELINE].rate else "nothing transfers",
        aim="1.00 or more",
        detail=detail,
    )


def show(results: Results, config: TransferConfig) -> None:
    """Print the table."""
    accuracies = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in results.clean_accuracies.items())
    table = Table(
        title=f"{config.data}: {len(config.seeds)} seeds, {config.num_gradients} backward passes; {machine()}",
        caption=f"clean accuracy: {accuracies}. In brackets: 95 % over clips and seeds, paired with {BASELINE}.",
    )
    table.add_column("attack")
    columns = {f"white-box, {config.white_box}": results.white_box, f"transfer, {config.transfer}": results.transfer}
    columns |= {f"on {victim}": measured for victim, measured in results.victims.items()}
    for column in columns:
        table.add_column(column, justify="right")
        table.add_column(f"minus {BASELINE}", justify="right")
    for name in results.transfer:
        cells = []
        for measured in columns.values():
            found = measured[name]
            low, high = found.difference_interval
            cells += [f"{found.rate:.1%}", f"{100 * found.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"]
        table.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
