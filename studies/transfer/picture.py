"""The picture: a dot and an interval per attack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import matplotlib
from matplotlib.figure import Figure

from evaluation.pictures import ATTACKED, CLEAN, INK, MUTED, STYLE
from studies.successes import Measured

COLOURS = {"white-box": CLEAN, "transfer": ATTACKED}


def draw(panels: Mapping[str, Mapping[str, Measured]], *, baseline: str, path: Path) -> None:
    """Each attack's difference to the baseline in points, one panel per title: `white-box, ...`, `transfer, ...`."""
    names = [name for name in next(iter(panels.values())) if name != baseline]
    with matplotlib.rc_context(cast(Any, STYLE)):
        figure = Figure(figsize=(3.0 + 3.2 * len(panels), 1.4 + 0.26 * len(names)), layout="constrained")
        for axes, (title, measured) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
            colour = COLOURS.get(title.partition(",")[0], INK)
            axes.axvline(0, color=MUTED, linewidth=0.8)
            for place, name in enumerate(names):
                found = measured[name]
                low, high = found.difference_interval
                axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
                axes.plot(100 * found.difference, place, "o", color=colour, markersize=5)
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x")
            axes.set_title(
                f"{title.replace(', ', chr(10), 1)}\n{baseline}: {measured[baseline].rate:.1%}", loc="left", fontsize=9
            )
            axes.set_xlabel(f"points more than {baseline}")
        figure.axes[0].invert_yaxis()
        figure.savefig(path, dpi=150)
