"""What a training changes on its way: one picture of all schedules, kept with the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib
from matplotlib.figure import Figure

from evaluation.pictures import CLEAN, STYLE, WORST
from preprocessing.storage.atomic_file import replacing
from training.config import TrainConfig

POINTS = 400
"""So finely are schedules drawn."""
UNITS = {
    "attack_steps": "gradient steps of the attack",
    "dropout_ratio": "share of feature units dropped",
    "epsilon_factor": "training budget over defended budget",
    "mask_ratio": "share of segments blanked",
    "sampling_ratio": "share of segments attacked",
}


def draw_schedules(config: TrainConfig, path: Path, history: Sequence[Mapping[str, float]] = ()) -> None:
    """The learning rate and everything that the objective's curriculum sets, over the epochs.

    Lines are what is planned. Dots are what `history`, the metrics of finished epochs, says was set at their ends:
    adaptive schedules leave the plan, and roll-backs lower the learning rate.
    """
    with matplotlib.rc_context(cast(Any, STYLE)), replacing(path) as temporary:
        schedule_figure(config, history).savefig(temporary, dpi=130)


def schedule_figure(config: TrainConfig, history: Sequence[Mapping[str, float]] = ()) -> Figure:
    """What `draw_schedules` draws: a panel for each value."""
    shares = [point / POINTS for point in range(POINTS + 1)]
    planned = [config.objective.settings_at(share) for share in shares]
    lines = {"train/learning_rate": [config.optimizer.rate_at(share) for share in shares]}
    lines |= {f"curriculum/{name}": [values[name] for values in planned] for name in planned[0]}
    columns = min(3, len(lines))
    rows = math.ceil(len(lines) / columns)
    figure = Figure(figsize=(3.6 * columns, 2.3 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (metric, values) in zip(panels, lines.items(), strict=False):
        axes.plot([share * config.epochs for share in shares], values, color=CLEAN, linewidth=2, label="planned")
        found = [(each["epoch"], each[metric]) for each in history if metric in each]
        axes.plot(
            [epoch for epoch, _ in found],
            [value for _, value in found],
            ".",
            color=WORST,
            markersize=5,
            label="done",
        )
        name = metric.partition("/")[2]
        axes.set_title(UNITS.get(name, name.replace("_", " ")), loc="left", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("epoch")
        axes.grid()
    if history:
        panels[0].legend()
    for axes in panels[len(lines) :]:
        axes.set_visible(False)
    return figure
