"""The result of a search, as a table and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console

from evaluation.reporting.picture_style import CLEAN, MUTED, PANEL_WIDTH, panel_grid, panels, save
from preprocessing.reporting.table import FoldedTable
from preprocessing.settings import Settings

COLUMNS = 4
PANEL_HEIGHT = 3.0
BEST, OTHER = CLEAN, MUTED
"""Colours of the best trial and of the others."""
METRIC = "validation/robust_accuracy"
"""The metric that trials are compared by; higher is better."""


class TrialResult(Settings):
    """One trial: what it tried and what it reached on the validation clips, epoch by epoch."""

    trial_id: str
    settings: dict[str, Any]
    epochs: tuple[int, ...]
    robust_accuracies: tuple[float, ...]
    clean_accuracies: tuple[float, ...]
    status: Literal["finished", "stopped early", "failed"]

    @property
    def robust_accuracy(self) -> float:
        """The best epoch's."""
        return max(self.robust_accuracies)

    @property
    def clean_accuracy(self) -> float:
        """Of the epoch that is best by robust accuracy."""
        return self.clean_accuracies[self.robust_accuracies.index(self.robust_accuracy)]


class SearchResult(Settings):
    """All trials, best first."""

    metric: str
    threat: str
    """The one threat model under which all trials were measured."""
    trials: tuple[TrialResult, ...]

    @property
    def best(self) -> TrialResult:
        """The trial with the highest robust accuracy."""
        return self.trials[0]


def show(result: SearchResult) -> None:
    """Print the trials, best first."""
    table = FoldedTable(title=f"Robust accuracy on validation under {result.threat}", show_lines=True)
    for name in ("trial", "settings"):
        table.add_column(name)
    for name in ("epochs", "clean", "robust", "end"):
        table.add_column(name, justify="right")
    for trial in result.trials:
        table.add_row(
            trial.trial_id,
            "\n".join(f"{name}={text(value)}" for name, value in trial.settings.items()),
            str(trial.epochs[-1]),
            f"{trial.clean_accuracy:.3f}",
            f"{trial.robust_accuracy:.3f}",
            trial.status,
        )
    Console().print(table)


def draw(result: SearchResult, path: Path) -> None:
    """Draw robust accuracy over epochs, and over each searched setting."""
    names = list(result.best.settings)
    rows, columns = panel_grid(1 + len(names), columns=COLUMNS)

    def draw_panels(figure: Figure) -> None:
        first, *others = panels(figure, 1 + len(names), columns=COLUMNS, share_y=True)
        draw_epochs(first, result)
        for axes, name in zip(others, names, strict=True):
            draw_setting(axes, result, name)
        figure.suptitle(f"Robust accuracy on validation under {result.threat}")

    save(draw_panels, path, width=PANEL_WIDTH * columns, height=PANEL_HEIGHT * rows)


def draw_epochs(axes: Axes, result: SearchResult) -> None:
    """One line per trial, the best one in front."""
    for trial in reversed(result.trials):
        is_best = trial is result.best
        colour, width = (BEST, 2.0) if is_best else (OTHER, 1.0)
        label = "best" if is_best else None
        axes.plot(trial.epochs, trial.robust_accuracies, marker=".", color=colour, linewidth=width, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set(xlabel="epoch", ylabel="robust accuracy")
    axes.grid()
    axes.legend()


def draw_setting(axes: Axes, result: SearchResult, name: str) -> None:
    """One point per trial; text values are put side by side."""
    values = [trial.settings.get(name) for trial in result.trials]
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    xs: Any = values if are_numbers else [text(value) for value in values]
    colours = [BEST if trial is result.best else OTHER for trial in result.trials]
    axes.scatter(xs, [trial.robust_accuracy for trial in result.trials], c=colours)
    if are_numbers:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set(xlabel=name)
    axes.grid()


def text(value: object) -> str:
    """A searched value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
