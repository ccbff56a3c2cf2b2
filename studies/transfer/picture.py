"""The picture: a dot and an interval per attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from evaluation.reporting.picture_style import ATTACKED, CLEAN, INK, MUTED, dot_with_interval, named_rows, save, title
from studies.transfer.successes import Rate

COLOURS = {"white-box": CLEAN, "transfer": ATTACKED}


def draw(panels: Mapping[str, Mapping[str, Rate]], levels: Mapping[str, float], *, baseline: str, path: Path) -> None:
    """Each attack's difference to the baseline in points, one panel per title: `white-box, ...`, `transfer, ...`.

    `levels` are the baseline's own rates.
    """
    names = [name for name in next(iter(panels.values())) if name != baseline]
    save(
        lambda figure: _draw_panels(figure, panels, names, levels, baseline),
        path,
        width=3.0 + 3.2 * len(panels),
        height=1.4 + 0.26 * len(names),
    )


def _draw_panels(
    figure: Figure,
    panels: Mapping[str, Mapping[str, Rate]],
    names: Sequence[str],
    levels: Mapping[str, float],
    baseline: str,
) -> None:
    for axes, (name, measured) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
        axes.axvline(0, color=MUTED, linewidth=0.8)
        for row, attack in enumerate(names):
            found, colour = measured[attack], COLOURS.get(name.partition(",")[0], INK)
            low, high = found.interval
            dot_with_interval(axes, 100 * found.rate, (100 * low, 100 * high), row, colour=colour)
        named_rows(axes, names)
        axes.grid(axis="x")
        title(axes, f"{name.replace(', ', chr(10), 1)}\n{baseline}: {levels[name]:.1%}")
        axes.set_xlabel(f"points more than {baseline}")
