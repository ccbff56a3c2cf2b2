"""The charts of a measurement of transfer: a heat map of every attack, and all attacks side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.chart import Chart, svg
from evaluation.reporting.picture_style import (
    ATTACKED,
    CLEAN,
    INK,
    MUTED,
    SMALL,
    WIDTH,
    WORST,
    Draw,
    dot_with_interval,
    label,
    named_rows,
    panel_grid,
    panels,
    title,
)
from evaluation.transfer.report import Cell, Group, TransferReport
from evaluation.transfer.summary import GROUPS
from evaluation.transfer.tables import GROUP_NAMES, rows_of

COLOURS: dict[Group, str] = {"single": ATTACKED, "ensemble": CLEAN, "leave_one_out": CLEAN, "white_box": WORST}
CELL = (0.92, 0.52)
"""Width and height of a cell in inches."""
LETTER = 0.085
"""Width of a letter in inches."""
FULL = 0.66
"""Success from which on a cell is dark enough, on light paper, for words in the other colour."""
LONG_NAME = 11
"""Letters of a name that does not fit above its column."""


@dataclass(frozen=True)
class Paint:
    """The colours of a heat map on one kind of paper."""

    none: tuple[int, int, int]
    """Of a cell in which nothing succeeds."""
    all: tuple[int, int, int]
    """Of a cell in which everything does."""
    on_none: str
    """Of the words in pale cells."""
    on_all: str
    """Of the words in full ones."""

    def of(self, share: float) -> str:
        """The colour of a cell."""
        parts = (round(low + share * (high - low)) for low, high in zip(self.none, self.all, strict=True))
        return "#" + "".join(f"{part:02x}" for part in parts)


LIGHT = Paint(none=(243, 240, 236), all=(176, 52, 42), on_none="#1c2630", on_all="#fefefe")
DARK = Paint(none=(38, 47, 56), all=(240, 124, 112), on_none="#e8edf1", on_all="#10151a")


def heat_map(report: TransferReport, attack: str) -> Chart:
    """Success of one attack: surrogates as rows, victims as columns, the white box framed."""
    rows, victims = rows_of(report, attack), report.config.victims
    names = [label(name) for name in rows]
    is_slanted = max(map(len, victims)) > LONG_NAME

    def drawn(paint: Paint) -> Draw:
        def draw(figure: Figure) -> None:
            axes = figure.subplots()
            for row, cells in enumerate(rows.values()):
                for column, victim in enumerate(victims):
                    if victim in cells:
                        _cell(axes, cells[victim], row=row, column=column, paint=paint)
            named_rows(axes, names)
            slant: dict[str, Any] = {"rotation": 30, "ha": "left", "rotation_mode": "anchor"} if is_slanted else {}
            axes.xaxis.tick_top()
            axes.set_xticks(range(len(victims)), [label(victim) for victim in victims], **slant)
            axes.tick_params(length=0)
            axes.set_xlim(-0.5, len(victims) - 0.5)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.spines[:].set_visible(False)
            axes.set_xlabel("victim", fontsize=SMALL, color=MUTED)
            axes.set_ylabel("crafted on", fontsize=SMALL, color=MUTED)

        return draw

    return _in_both(drawn, width=0.5 + LETTER * max(map(len, names)) + CELL[0] * len(victims), num_rows=len(rows))


def _cell(axes: Axes, cell: Cell, *, row: int, column: int, paint: Paint) -> None:
    """One number on its colour, and the clips that it is a share of."""
    share = cell.success_rate
    frame: dict[str, Any] = {"edgecolor": INK, "linewidth": 1.8} if cell.is_white_box else {"edgecolor": "none"}
    axes.barh(row, 0.92, left=column - 0.46, height=0.88, color=paint.of(share or 0.0), **frame)
    words = paint.on_all if share is not None and share > FULL else paint.on_none
    number = "-" if share is None else f"{100 * share:.0f} %"
    axes.text(column, row - 0.1, number, ha="center", va="center", fontsize=10, color=words)
    axes.text(column, row + 0.27, f"of {cell.num_clips}", ha="center", va="center", fontsize=6.5, color=words)


def _in_both(drawn: Callable[[Paint], Draw], *, width: float, num_rows: int) -> Chart:
    """A drawing whose colours are not those of `picture_style`, in its own for each paper."""
    size = {"width": width, "height": 0.7 + CELL[1] * num_rows}
    return Chart(svg(drawn(LIGHT), **size), Chart.of(svg(drawn(DARK), **size)).dark)


def means_chart(report: TransferReport) -> Chart | None:
    """Mean success of every attack over the cells of each group, with intervals; None if no clip counts anywhere.

    The broken line is the baseline attack.
    """
    groups = [group for group in GROUPS if report.means_of(group)]
    if not groups:
        return None

    def draw(figure: Figure) -> None:
        places = panels(figure, len(groups), columns=2, share_y=True)
        for group, axes in zip(groups, places, strict=True):
            found = {mean.attack: mean for mean in report.means_of(group)}
            for row, attack in enumerate(report.attacks):
                if mean := found.get(attack):
                    interval = mean.success_rate_interval
                    dot_with_interval(axes, mean.success_rate, interval, row, colour=COLOURS[group])
            if baseline := found.get(report.baseline):
                axes.axvline(baseline.success_rate, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
            named_rows(axes, [label(attack) for attack in report.attacks])
            axes.grid(axis="x")
            axes.set_xlim(-0.02, 1.02)
            axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0 %", "", "50 %", "", "100 %"])
            axes.set_ylim(len(report.attacks) - 0.5, -0.5)
            num_cells = report.means_of(group)[0].num_cells
            title(axes, f"{GROUP_NAMES[group]}, {num_cells} cell{'s' if num_cells > 1 else ''}")

    num_rows, _ = panel_grid(len(groups), columns=2)
    return Chart.of(svg(draw, width=WIDTH, height=num_rows * (0.8 + 0.28 * len(report.attacks))))
