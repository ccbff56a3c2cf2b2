"""The look of every picture: colours, fonts, sizes, axes, and how a figure becomes a file."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from preprocessing.storage.atomic_file import replacing

INK = "#1f2933"
MUTED = "#7b8794"
FAINT = "#cbd2d9"
CLEAN = "#2f6f8f"
ATTACKED = "#d08a2e"
WORST = "#b3392f"
MODELS = (ATTACKED, CLEAN, "#6b4f8a", "#2d7d5a", WORST, MUTED)
"""Colours of compared models, in order."""

WIDTH = 7.2
"""Inches of a chart that fills a page."""
PANEL_WIDTH = 3.6
"""Inches of a panel of which several stand side by side."""
PIXELS_PER_INCH = 130
SMALL = 8.5
"""Points of notes inside a chart."""

LABEL_LENGTH = 40
"""Characters of a name inside a chart."""

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Inter", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 10,
    "figure.titlesize": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.fonttype": "path",
    "svg.hashsalt": "report",  # without a fixed one the same chart has other bytes each time
    "legend.frameon": False,
}

DARK = {
    INK: "#e4e9ee",
    MUTED: "#9aa7b4",
    FAINT: "#4a5663",
    "#e4e7eb": "#303a45",
    "#ffffff": "#14191f",
    CLEAN: "#5fa8cb",
    ATTACKED: "#e0a04a",
    WORST: "#ef7a6f",
    "#6b4f8a": "#a98bd0",
    "#2d7d5a": "#5fbf92",
}
"""Each colour of a chart on light paper, and the one that takes its place on the dark paper of a page."""

Draw = Callable[[Figure], None]
"""Draws on an empty figure."""


def save(
    draw: Draw,
    to: Path | io.BytesIO,
    *,
    width: float,
    height: float,
    layout: Literal["constrained"] | None = "constrained",
    **options: Any,
) -> None:
    """Draw on a figure of this size in inches and save it; the caller's matplotlib settings stay as they were."""
    with matplotlib.rc_context(cast(Any, STYLE)):
        figure = Figure(figsize=(width, height), layout=layout)
        draw(figure)
        with replacing(to) if isinstance(to, Path) else nullcontext(to) as file:
            figure.savefig(file, dpi=PIXELS_PER_INCH, **options)


def in_dark(svg: str) -> str:
    """A chart saved as SVG in the colours for dark paper; others than those of `DARK` stay."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda match: DARK.get(match[0], match[0]), svg)


def label(name: str) -> str:
    """A user's text as matplotlib shows it: on one line, of bearable length, and none of it taken for mathematics.

    A space before a leading underscore keeps the text in a legend.
    """
    text = " ".join(name.split())
    text = text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 3]}..."
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def panel_grid(num_panels: int, *, columns: int) -> tuple[int, int]:
    """Rows and columns for so many panels, at most `columns` side by side."""
    columns = min(columns, num_panels)
    return math.ceil(num_panels / columns), columns


def panels(figure: Figure, num_panels: int, *, columns: int, share_y: bool = False) -> list[Axes]:
    """The axes of `panel_grid`, row by row; places that are left over stay empty."""
    rows, columns = panel_grid(num_panels, columns=columns)
    axes = list(figure.subplots(rows, columns, squeeze=False, sharey=share_y).flat)
    for unused in axes[num_panels:]:
        unused.set_visible(False)
    return axes[:num_panels]


def title(axes: Axes, text: str) -> None:
    """A panel's title, at its left."""
    axes.set_title(text, loc="left", fontsize=9)


def named_rows(axes: Axes, names: Sequence[str], places: Sequence[int] | None = None) -> None:
    """One row per name, the first at the top; `places`: the row of each, unset = one after the other."""
    axes.set_yticks(range(len(names)) if places is None else places, names)
    axes.tick_params(axis="y", length=0)
    if not axes.yaxis_inverted():  # panels that share an axis turn it round once
        axes.invert_yaxis()


def dot_with_interval(
    axes: Axes, value: float, interval: tuple[float, float], row: int | float, *, colour: str
) -> None:
    """A value in its row, and a line as long as its interval."""
    axes.plot(interval, [row, row], color=colour, linewidth=2, solid_capstyle="round")
    axes.plot(value, row, "o", color=colour, markersize=5)
