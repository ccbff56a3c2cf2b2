"""A picture of all schedules of a training, planned and done, kept with the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from evaluation.reporting.picture_style import CLEAN, PANEL_WIDTH, WORST, panel_grid, panels, save, title
from training.config import TrainConfig

POINTS = 400
"""So finely are schedules drawn."""
COLUMNS = 3
PANEL_HEIGHT = 2.3
"""Inches; wide and low, since only the course matters."""
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
    lines = planned_lines(config)
    rows, columns = panel_grid(len(lines), columns=COLUMNS)
    save(
        lambda figure: draw_panels(figure, lines, config.epochs, history),
        path,
        width=PANEL_WIDTH * columns,
        height=PANEL_HEIGHT * rows,
    )


def planned_lines(config: TrainConfig) -> dict[str, list[float]]:
    """The planned values of every metric that a schedule sets, at `POINTS` + 1 moments from start to end."""
    shares = [point / POINTS for point in range(POINTS + 1)]
    planned = [config.objective.settings_at(share) for share in shares]
    lines = {"train/learning_rate": [config.optimizer.rate_at(share) for share in shares]}
    lines |= {f"curriculum/{name}": [values[name] for values in planned] for name in planned[0]}
    return lines


def draw_panels(
    figure: Figure, lines: Mapping[str, Sequence[float]], epochs: int, history: Sequence[Mapping[str, float]] = ()
) -> None:
    """Draw a panel for each metric, with the values that were set where `history` knows them."""
    grid = panels(figure, len(lines), columns=COLUMNS)
    for axes, (metric, values) in zip(grid, lines.items(), strict=True):
        moments = [epochs * point / POINTS for point in range(POINTS + 1)]
        axes.plot(moments, values, color=CLEAN, linewidth=2, label="planned")
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
        title(axes, UNITS.get(name, name.replace("_", " ")))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("epoch")
        axes.grid()
    if history:
        grid[0].legend()
