"""The picture: a dot and an interval per attack, a row of panels per bed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.picture_style import ATTACKED, CLEAN, INK, MUTED, dot_with_interval, named_rows, save, title
from studies.transfer.successes import KINDS, Draws

COLOURS = {"white-box": CLEAN, "transfer": ATTACKED}


def draw(beds: Mapping[str, Mapping[str, Draws]], names: Sequence[str], *, baseline: str, path: Path) -> None:
    """Each attack's difference to the baseline in points, by bed and kind: `white-box`, `transfer`, `other moments`."""
    others = [name for name in names if name != baseline]
    save(
        lambda figure: _draw_panels(figure, beds, others, baseline),
        path,
        width=3.0 + 3.2 * len(KINDS),
        height=(1.2 + 0.24 * len(others)) * len(beds),
    )


def _draw_panels(figure: Figure, beds: Mapping[str, Mapping[str, Draws]], names: Sequence[str], baseline: str) -> None:
    panels = figure.subplots(len(beds), len(KINDS), sharey=True, squeeze=False)
    for row, (bed, of_kind) in zip(panels, beds.items(), strict=True):
        for axes, kind in zip(row, KINDS, strict=True):
            _draw_panel(axes, of_kind[kind], names, baseline, colour=COLOURS.get(kind, INK))
            title(axes, f"{bed}, {kind}\n{baseline}: {of_kind[kind].rates[baseline]:.1%}")
    for axes in panels[-1]:
        axes.set_xlabel(f"points more than {baseline}")


def _draw_panel(axes: Axes, draws: Draws, names: Sequence[str], baseline: str, *, colour: str) -> None:
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for place, attack in enumerate(names):
        found = draws.difference(attack, baseline)
        low, high = found.interval
        dot_with_interval(axes, 100 * found.rate, (100 * low, 100 * high), place, colour=colour)
    named_rows(axes, names)
    axes.grid(axis="x")
