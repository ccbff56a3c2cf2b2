"""The charts of a report: accuracy over severity, and a heat map of everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from evaluation.corruptions.config import Perturbed
from evaluation.corruptions.report import CorruptionReport, CorruptionResult
from evaluation.reporting.picture_style import (
    ATTACKED,
    CLEAN,
    INK,
    MUTED,
    PANEL_WIDTH,
    SMALL,
    WIDTH,
    WORST,
    panel_grid,
    panels,
    save,
    title,
)

COLOURS: dict[Perturbed, str] = {"both": WORST, "video": ATTACKED, "audio": CLEAN}
NAMES: dict[Perturbed, str] = {
    "both": "both corrupted",
    "video": "frames corrupted",
    "audio": "sound corrupted",
}
COLUMNS = 4
CURVE_PANEL = (0.5 * PANEL_WIDTH, 1.5)
"""Width and height of one corruption's panel in inches."""


def draw_curves(report: CorruptionReport, to: Path) -> None:
    """A panel per corruption: accuracy over severity, with bands for its intervals and a line where it is clean."""
    names = report.config.corruptions
    rows, columns = panel_grid(len(names), columns=COLUMNS)

    def draw(figure: Figure) -> None:
        for name, axes in zip(names, panels(figure, len(names), columns=COLUMNS, share_y=True), strict=True):
            axes.axhline(report.clean_accuracy, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label="clean")
            for result in (each for each in report.corruptions if each.name == name):
                severities = [each.severity for each in result.severities]
                lows, highs = zip(*(each.accuracy_interval for each in result.severities), strict=True)
                colour = COLOURS[result.perturbed]
                axes.fill_between(severities, lows, highs, color=colour, alpha=0.15, linewidth=0)
                shares = [each.accuracy for each in result.severities]
                axes.plot(severities, shares, color=colour, marker="o", markersize=3, label=NAMES[result.perturbed])
            axes.set_xticks(report.config.severities)
            axes.set_ylim(0.0, 1.02)
            axes.set_yticks([0.0, 0.5, 1.0], ["0 %", "50 %", "100 %"])
            axes.grid(axis="y")
            title(axes, name.replace("_", " "))
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        figure.supxlabel("severity", fontsize=SMALL)

    save(draw, to, width=columns * CURVE_PANEL[0], height=0.7 + rows * CURVE_PANEL[1])


def draw_heat_map(report: CorruptionReport, to: Path) -> None:
    """Accuracy of every corruption at every severity, and its mean; side by side for each set of modalities."""
    perturbed = report.config.perturbed

    def draw(figure: Figure) -> None:
        for each, axes in zip(perturbed, panels(figure, len(perturbed), columns=3, share_y=True), strict=True):
            shares = np.array([_row(result) for result in report.of(each)])
            axes.imshow(shares, cmap="RdYlBu", vmin=0.0, vmax=1.0, aspect="auto")
            for (row, column), share in np.ndenumerate(shares):
                is_dark = share < 0.2 or share > 0.8
                colour = "white" if is_dark else INK
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
            axes.set_xticks(range(shares.shape[1]), [*map(str, report.config.severities), "mean"])
            axes.set_yticks(range(len(shares)), [result.name.replace("_", " ") for result in report.of(each)])
            axes.tick_params(length=0)
            axes.axvline(shares.shape[1] - 1.5, color="white", linewidth=3)
            for spine in axes.spines.values():
                spine.set_visible(False)
            title(axes, NAMES[each])
        figure.supxlabel("severity; numbers are per cent of the clips classified correctly", fontsize=SMALL)

    width = 1.4 + (WIDTH + 1.4) / 3 * len(perturbed)
    save(draw, to, width=width, height=1.0 + 0.27 * len(report.config.corruptions))


def _row(result: CorruptionResult) -> list[float]:
    return [*(each.accuracy for each in result.severities), result.score.accuracy]
