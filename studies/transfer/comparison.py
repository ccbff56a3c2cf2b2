"""`make bench-transfer`: which attacks carry over to models that see differently, and to other moments?

`python -m studies.transfer [key=value ...]`, such as `beds=[{path: runs/ks/dataset, epsilon: 4/255}]`. On every bed of
clips it trains small classifiers that differ in encoders, time and fusion, makes every attack on each of them with the
same number of backward passes, and looks at what becomes of the clips on the model itself, on the others, and on the
others where each perturbation comes one segment late. Models and outcomes are kept: run again, it goes on where it was.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt, model_validator
from rich.console import Console
from rich.table import Table

from benchmarks.row import Row, as_json, machine
from pipeline.settings.load import ConfigError, load
from preprocessing.errors import DataError
from preprocessing.settings import Settings
from studies.demo_data import make_demo_data
from studies.side_by_side import side_by_side
from studies.transfer.architectures import ArchitectureName
from studies.transfer.attacks import BASELINE, LISTS, PRESET, STEPS, Contender
from studies.transfer.beds import Bed, Part
from studies.transfer.models import Kind, Wish, make
from studies.transfer.outcomes import Found, Job, outcomes
from studies.transfer.picture import draw
from studies.transfer.successes import KINDS, Draws, Rate, counts

logger = logging.getLogger(__name__)

DEMO_DATA = "runs/demo/dataset"


class TransferConfig(Settings):
    """What is compared, and on what."""

    beds: Annotated[tuple[Bed, ...], Field(min_length=1)] = (
        Bed(path=DEMO_DATA, name="demo", num_segments=4, shrink=2, shrink_audio=4),
        Bed(path=DEMO_DATA, name="demo, whole", shrink_audio=2, epsilon=6 / 255),
    )
    """The clips; the demo's are made if they are missing."""
    output: str = "runs/bench"
    """Folder that receives `transfer.json`, `transfer.png` and, in `transfer/`, what is kept for the next run."""
    attacks: Literal["contenders", "by_size"] = "contenders"
    """`contenders`: the preset and its peers. `by_size`: kernels and strengths, from which the preset's rule came."""
    part: Part = "report"
    """The clips that are attacked: those to `report` on, or those by which something may be `choose`n."""
    architectures: Annotated[tuple[ArchitectureName, ...], Field(min_length=2)] = ("plain", "temporal", "conv3d", "vgg")
    """The classifiers of each seed: every one is attacked, and a victim of the others."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1)
    """Each trains all classifiers anew."""
    num_clips: PositiveInt = 360
    """The first so many clips are attacked."""
    processes: PositiveInt = 2
    """Processes that train and attack, one thread each."""

    @model_validator(mode="after")
    def _beds_are_told_apart(self) -> TransferConfig:
        called = [str(bed) for bed in self.beds]
        if repeated := sorted({name for name in called if called.count(name) > 1}):
            raise ValueError(f"beds: {', '.join(repeated)} is the name of more than one; give each a name of its own")
        return self


@dataclass(frozen=True)
class Results:
    """Measurements on one bed."""

    accuracies: dict[str, float]
    """Share of the clips that each architecture gets right, the mean over seeds."""
    draws: dict[str, Draws]
    """Rates by kind: white-box, transfer, other moments."""
    num_surrogates: int
    num_clips: int


def main(words: Sequence[str]) -> int:
    """Measure, write and show; 0 done, 2 a setting or file that is not allowed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        config = load(TransferConfig, changes=words)
        found = measure(config)
    except (ConfigError, DataError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    folder = Path(config.output)
    rows = [
        *headlines(found),
        *(row(bed, name, results, config) for bed, results in found.items() for name in names(config)),
    ]
    (folder / "transfer.json").write_text(json.dumps([as_json(each) for each in rows], indent=2) + "\n")
    draw(
        {bed: results.draws for bed, results in found.items()},
        names(config),
        baseline=BASELINE,
        path=folder / "transfer.png",
    )
    show(found, rows, config)
    print(f"written to {folder / 'transfer.json'} and {folder / 'transfer.png'}")
    return 0


def names(config: TransferConfig) -> list[str]:
    """The attacks that are compared."""
    return list(LISTS[config.attacks]())


def measure(config: TransferConfig) -> dict[str, Results]:
    """Train what is not trained yet, make every attack that is not made yet, and count; by the beds' names."""
    if any(bed.path == DEMO_DATA for bed in config.beds):
        make_demo_data(DEMO_DATA)
    folder = Path(config.output) / "transfer"
    contenders = LISTS[config.attacks]()
    kinds: list[Kind] = ["standard", "early", "robust"]
    wanted = [kind for kind in kinds if any(each.surrogates == kind for each in contenders.values())]
    wishes = [
        Wish(bed, name, seed, kind, folder / "models")
        for bed in config.beds
        for seed in config.seeds
        for kind in dict.fromkeys(["standard", *wanted])
        for name in config.architectures
    ]
    side_by_side("training", make, wishes, processes=config.processes)
    jobs = [
        Job(
            bed, config.part, config.num_clips, config.architectures, seed, each, folder / "models", folder / "outcomes"
        )
        for bed in config.beds
        for each in contenders.values()
        for seed in config.seeds
    ]
    found = iter(side_by_side("attacking", outcomes, jobs, processes=config.processes))
    return {
        str(bed): counted(config, {name: [next(found) for _ in config.seeds] for name in contenders}, contenders)
        for bed in config.beds
    }


def counted(
    config: TransferConfig, found: Mapping[str, Sequence[Found]], contenders: Mapping[str, Contender]
) -> Results:
    """The rates on one bed."""
    of_kind = {
        kind: Draws.of(
            {
                name: counts(each, kind, is_ensemble=contenders[name].surrogates == "ensemble")
                for name, each in found.items()
            }
        )
        for kind in KINDS
    }
    right = np.stack([each.is_right for each in found[BASELINE]]).mean((0, 2))
    return Results(
        dict(zip(config.architectures, right.tolist(), strict=True)),
        of_kind,
        num_surrogates=len(config.seeds) * len(config.architectures),
        num_clips=found[BASELINE][0].is_right.shape[1],
    )


def best_peer(results: Results, kind: str) -> str:
    """The published attack on standard models that fools most, on the very clips that are reported."""
    peers = [name for name, each in LISTS["contenders"]().items() if each.is_peer]
    return max(peers, key=results.draws[kind].rates.__getitem__)


def headlines(found: Mapping[str, Results]) -> list[Row]:
    """The aims, in points: more than MI-FGSM as published, and more than the strongest peer of each bed."""
    if any(PRESET not in results.draws["transfer"].rates for results in found.values()):
        return []

    def compared(kind: str, other: Mapping[str, str]) -> dict[str, Rate]:
        return {bed: results.draws[kind].difference(PRESET, other[bed]) for bed, results in found.items()}

    rows = []
    baseline = dict.fromkeys(found, BASELINE)
    for name, kind, others, aim in (
        ("preset_over_mi", "transfer", baseline, "8 or more"),
        ("preset_over_best_peer", "transfer", None, "0 or more"),
        ("other_moments_over_best_peer", "other moments", None, "4 or more"),
    ):
        other = others or {bed: best_peer(results, kind) for bed, results in found.items()}
        each = compared(kind, other)
        detail: dict[str, object] = {
            bed: {"over": other[bed], "points": 100 * rate.rate, "interval": [100 * end for end in rate.interval]}
            for bed, rate in each.items()
        }
        detail["beds_with_interval_above_0"] = sum(rate.interval[0] > 0 for rate in each.values())
        rows.append(Row(name, 100 * sum(rate.rate for rate in each.values()) / len(each), aim, detail))
    return rows


def row(bed: str, name: str, results: Results, config: TransferConfig) -> Row:
    """Success on other models, in points more than MI-FGSM's."""
    detail: dict[str, object] = {
        kind: {**asdict(draws.rate(name)), "difference": asdict(draws.difference(name, BASELINE))}
        for kind, draws in results.draws.items()
    }
    detail |= {"accuracies": results.accuracies, "settings": config.model_dump(mode="json")}
    points = 100 * results.draws["transfer"].difference(name, BASELINE).rate
    return Row(f"transfer of {name}, {bed}", points, "0 or more", detail)


def show(found: Mapping[str, Results], rows: Sequence[Row], config: TransferConfig) -> None:
    """Print a table per bed, then the aims."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    for bed, results in found.items():
        accuracies = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in results.accuracies.items())
        table = Table(
            title=f"{bed}: {results.num_surrogates} surrogates, {results.num_clips} clips to {config.part}, "
            f"{STEPS} passes each; {machine()}",
            caption=f"clean: {accuracies}. In brackets: 95 % over clips and surrogates, paired with {BASELINE}.",
        )
        table.add_column("attack")
        for kind in KINDS:
            table.add_column(kind, justify="right")
            table.add_column(f"minus {BASELINE}", justify="right")
        for name in names(config):
            cells = []
            for draws in results.draws.values():
                rate = draws.difference(name, BASELINE)
                cells += [f"{draws.rates[name]:.1%}", in_points(rate)]
            table.add_row(name, *cells)
        console.print(table)
    for each in rows:
        if not each.name.startswith("transfer of"):
            console.print(f"{each.name}: {each.ratio:.1f} (aim: {each.aim}) {each.detail}")


def in_points(rate: Rate) -> str:
    """A difference with its interval, such as +1.2 [-0.3, +2.7]."""
    low, high = rate.interval
    return f"{100 * rate.rate:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
