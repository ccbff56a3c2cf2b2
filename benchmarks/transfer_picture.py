"""The picture of benchmarks/transfer.py: a dot and an interval per attack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import matplotlib
from matplotlib.figure import Figure

from benchmarks.successes import Measured
from evaluation.pictures import ATTACKED, CLEAN, INK, MUTED, STYLE


def draw(white_box: Mapping[str, Measured], transfer: Mapping[str, Measured], *, baseline: str, path: Path) -> None:
    """Each attack's difference to the baseline in points, on the surrogate itself and on other models."""
    names = [name for name in transfer if name != baseline]
    panels = ((white_box, "white-box success", CLEAN), (transfer, "transfer success", ATTACKED))
    with matplotlib.rc_context(cast(Any, STYLE)):
        figure = Figure(figsize=(11, 1.4 + 0.26 * len(names)), layout="constrained")
        for axes, (measured, title, colour) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
            axes.axvline(0, color=MUTED, linewidth=0.8)
            for place, name in enumerate(names):
                found = measured[name]
                low, high = found.difference_interval
                axes.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
                axes.plot(100 * found.difference, place, "o", color=colour, markersize=5)
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x")
            axes.set_title(f"{title}: {baseline} has {measured[baseline].rate:.1%}", color=INK, loc="left", fontsize=10)
            axes.set_xlabel(f"points more than {baseline}, 95 % interval")
        figure.axes[0].invert_yaxis()
        figure.savefig(path, dpi=150)
