"""The picture: what robustness costs, and what each part of the curriculum is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.picture_style import ATTACKED, INK, MUTED, SMALL, dot_with_interval, named_rows, save, title
from studies.training.shares import Measured

Shares = Mapping[str, Mapping[str, Measured]]


def draw(cpu_seconds: Mapping[str, float], shares: Shares, *, peers: Sequence[str], reference: str, path: Path) -> None:
    """Worst-case robust accuracy over cost, clean accuracy as colour; beside it what is not among `peers`.

    Costs are in those of `reference`, or in CPU seconds if it was not trained.
    """
    others = [name for name in cpu_seconds if name not in peers]

    def draw_both(figure: Figure) -> None:
        axes = figure.subplots(1, 1 + bool(others), squeeze=False, width_ratios=[1.7, 1.0][: 1 + bool(others)])[0]
        _frontier(figure, axes[0], cpu_seconds, shares, [name for name in peers if name in cpu_seconds], reference)
        if others:
            _differences(axes[1], shares["joint"], others)

    save(draw_both, path, width=8.4 + 5.4 * bool(others), height=5.2)


def _frontier(
    figure: Figure, axes: Axes, cpu_seconds: Mapping[str, float], shares: Shares, names: Sequence[str], reference: str
) -> None:
    unit = cpu_seconds.get(reference, 1.0)
    best = max(shares["joint"][name].rate for name in names)
    shown = sorted((name for name in names if shares["joint"][name].rate >= best / 2), key=cpu_seconds.__getitem__)
    far_below = [
        f"{name}: {shares['joint'][name].rate:.1%} at {cpu_seconds[name] / unit:.2f}"
        for name in names
        if name not in shown
    ]
    costs = [cpu_seconds[name] / unit for name in shown]
    joint = [shares["joint"][name] for name in shown]
    for cost, found in zip(costs, joint, strict=True):
        low, high = found.interval
        axes.plot([cost, cost], [100 * low, 100 * high], color=MUTED, linewidth=1.4, zorder=1)
    clean = [100 * shares["clean"][name].rate for name in shown]
    heights = [100 * found.rate for found in joint]
    dots = axes.scatter(costs, heights, c=clean, cmap="viridis", s=90, edgecolors=INK, linewidths=0.6, zorder=2)
    figure.colorbar(dots, ax=axes, label="clean accuracy, %", shrink=0.8)
    for place, (name, cost, height) in enumerate(zip(shown, costs, heights, strict=True)):
        # Names stand in turns left and right, so that neighbours do not cover each other.
        side, offset = ("left", 8) if place % 2 else ("right", -8)
        axes.annotate(
            name,
            (cost, height),
            xytext=(offset, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
        )
    axes.text(0.01, 0.01, "\n".join(far_below), transform=axes.transAxes, fontsize=SMALL, color=MUTED)
    axes.margins(y=0.12)
    axes.set_xscale("log")
    if reference in cpu_seconds:
        axes.set_xticks([0.1, 0.2, 0.35, 0.63, 1.0, 2.0], ["0.1", "0.2", "0.35", "0.63", "1", "2"])
    axes.set_xlim(min(costs) / 1.4, max(costs) * 1.4)
    axes.minorticks_off()
    axes.grid()
    unit_in_words = f" in those of {reference}" if reference in cpu_seconds else ""
    axes.set_xlabel(f"cost of training, CPU seconds{unit_in_words}")
    axes.set_ylabel("worst-case robust accuracy, %")
    title(axes, "robustness over cost")


def _differences(axes: Axes, joint: Mapping[str, Measured], names: Sequence[str]) -> None:
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for row, name in enumerate(names):
        low, high = joint[name].difference_interval
        dot_with_interval(axes, 100 * joint[name].difference, (100 * low, 100 * high), row, colour=ATTACKED)
    named_rows(axes, names)
    axes.grid(axis="x")
    axes.set_xlabel("points of robust accuracy above the curriculum")
    title(axes, "the curriculum with one thing changed")
