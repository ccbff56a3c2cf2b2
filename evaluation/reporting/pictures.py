"""The report's pictures, as data URIs: charts as SVG, clips as PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.intervals import Interval
from evaluation.reporting.chart import TIGHT, svg
from evaluation.reporting.picture_style import (
    ATTACKED,
    CLEAN,
    INK,
    MODELS,
    MUTED,
    SMALL,
    WIDTH,
    WORST,
    Draw,
    dot_with_interval,
    label,
    named_rows,
    panels,
    save,
)
from evaluation.reporting.report import Report
from evaluation.reporting.results import CurvePoint
from evaluation.tasks.measurement import Example


@dataclass(frozen=True)
class Bar:
    """A share with its interval."""

    share: float
    interval: Interval
    is_faint: bool = False
    """True for a number that is drawn in the background."""


def attack_bars(report: Report) -> str:
    """Accuracy untouched, under each attack and under the worst of them, with intervals."""
    rows = [("no attack", Bar(report.clean_accuracy, report.clean_accuracy_interval), CLEAN)]
    rows += [
        (attack.name, Bar(attack.robust_accuracy, attack.robust_accuracy_interval), ATTACKED)
        for attack in report.attacks
    ]
    if report.worst_case_robust_accuracy is not None and report.worst_case_robust_accuracy_interval is not None:
        worst = Bar(report.worst_case_robust_accuracy, report.worst_case_robust_accuracy_interval)
        rows.append(("worst case", worst, WORST))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for position, (_, bar, colour) in enumerate(rows):
            _bar(axes, bar, float(position), colour=colour, height=0.62)
        named_rows(axes, [name for name, *_ in rows])
        share_axis(axes, "x", "share of clips still classified correctly", maximum=1.1)

    return svg(draw, width=WIDTH, height=0.9 + 0.36 * len(rows))


def epsilon_curve(points: Sequence[CurvePoint], *, chance: float) -> str:
    """Worst-case robust accuracy over epsilon with a band for its interval, and the reference attack alone."""
    is_more_than_one = any(len(point.worst_case_of) > 1 for point in points)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        if is_more_than_one:
            alone = [point.robust_accuracy for point in points]
            factors = [point.factor for point in points]
            axes.plot(factors, alone, color=ATTACKED, linewidth=1.4, linestyle=(0, (3, 2)), label=points[0].name)
        _curve(axes, points, colour=WORST if is_more_than_one else ATTACKED, name="worst case")
        _curve_frame(axes, points, chance=chance)
        if is_more_than_one:
            axes.legend(loc="upper right")

    return svg(draw, width=WIDTH, height=3.4)


def compared_bars(rows: Sequence[str], models: Mapping[str, Sequence[Bar | None]]) -> str:
    """One group of bars per row, one bar per model; a withheld number has none."""
    thickness = 0.76 / len(models)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, (name, bars) in enumerate(models.items()):
            colour = MODELS[number % len(MODELS)]
            for position, bar in enumerate(bars):
                place = position + (number - (len(models) - 1) / 2) * thickness
                if bar is None:
                    axes.text(0.01, place, "withheld", va="center", fontsize=SMALL, color=MUTED)
                else:
                    _bar(axes, bar, place, colour=colour, height=thickness * 0.92)
            axes.barh(0, 0, color=colour, label=label(name))
        named_rows(axes, rows)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(models), 3))
        share_axis(axes, "x", "share of clips still classified correctly", maximum=1.1)

    return svg(draw, width=WIDTH, height=1.2 + (0.16 + 0.2 * len(models)) * len(rows))


def compared_differences(rows: Sequence[str], pairs: Mapping[str, Sequence[Bar | None]]) -> str:
    """A panel per pair of models, one difference with its interval per row; faint ones show none.

    Args:
        rows: what was measured.
        pairs: by the pair's title, its differences; None = not compared.
    """

    def draw(figure: Figure) -> None:
        reach = max(0.05, *(abs(end) for bars in pairs.values() for bar in bars if bar for end in bar.interval))
        stacked = panels(figure, len(pairs), columns=1)
        for axes, (name, bars) in zip(stacked, pairs.items(), strict=True):
            axes.axvline(0.0, color=MUTED, linewidth=1)
            for row, bar in enumerate(bars):
                if bar is None:
                    axes.text(0.0, row, " not compared", va="center", fontsize=SMALL, color=MUTED)
                    continue
                dot_with_interval(axes, bar.share, bar.interval, row, colour=MUTED if bar.is_faint else CLEAN)
            axes.set_title(label(name), loc="left", fontsize=9)
            axes.set_xlim(-1.1 * reach, 1.1 * reach)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.grid(axis="x")
            axes.tick_params(axis="x", labelbottom=axes is stacked[-1], length=0)
            named_rows(axes, rows)
            axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:+.3g}" if share else "0")
        axes.set_xlabel("difference in percentage points")

    return svg(draw, width=WIDTH, height=0.6 + len(pairs) * (0.6 + 0.28 * len(rows)))


def compared_curves(curves: Mapping[str, Sequence[CurvePoint]], *, chance: float) -> str:
    """Worst-case robust accuracy over epsilon of several models."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, (name, points) in enumerate(curves.items()):
            _curve(axes, points, colour=MODELS[number % len(MODELS)], name=label(name))
        _curve_frame(axes, next(iter(curves.values())), chance=chance)
        axes.legend(loc="upper right")

    return svg(draw, width=WIDTH, height=3.4)


def clip_pictures(example: Example, *, num_shown: int = 10) -> tuple[str, int, int]:
    """One clip untouched, perturbed and as an amplified difference, frames above spectrograms.

    Returns:
        The picture, and by how much the difference of frames and of log-mel patches is amplified.
    """
    shown = np.unique(np.linspace(0, len(example.clean_video) - 1, num_shown).round().astype(int))
    video_change = example.perturbed_video - example.clean_video
    audio_change = example.perturbed_audio - example.clean_audio
    video_gain, audio_gain = _gain(video_change), _gain(audio_change)
    frame_rows = (
        ("clean", example.clean_video),
        ("perturbed", example.perturbed_video),
        (f"difference\n× {video_gain}", 0.5 + video_gain * video_change),
    )
    sound_rows: tuple[tuple[str, Any, str, float], ...] = (
        ("clean", example.clean_audio, "magma", 0.0),
        ("perturbed", example.perturbed_audio, "magma", 0.0),
        (f"difference\n× {audio_gain}", audio_gain * audio_change, "RdBu_r", -0.5),
    )

    cell = min(1.5, 9.5 / len(shown))
    width, height = cell * len(shown) + 1.0, 3 * cell + 3 * 0.85

    def draw(figure: Figure) -> None:
        heights = [cell, cell, cell, 0.85, 0.85, 0.85]
        grid = figure.add_gridspec(
            6, len(shown), height_ratios=heights, hspace=0.06, wspace=0.03, left=1.0 / width, right=1.0, top=1, bottom=0
        )
        for row, (title, frames) in enumerate(frame_rows):
            for column, segment in enumerate(shown):
                axes = figure.add_subplot(grid[row, column])
                axes.imshow(frames[segment].transpose(1, 2, 0).clip(0, 1), interpolation="nearest", aspect="auto")
                _bare(axes, title if column == 0 else "")
                if row == 0:
                    axes.set_title(f"segment {segment}", fontsize=7.5, color=MUTED, pad=3)
        for row, (title, patches, colours, lowest) in enumerate(sound_rows, start=3):
            axes = figure.add_subplot(grid[row, :])
            joined = np.concatenate(list(patches[shown]), axis=1)
            highest = 1.0 if lowest == 0.0 else 0.5
            axes.imshow(joined, origin="lower", aspect="auto", cmap=colours, vmin=lowest, vmax=highest)
            for boundary in range(1, len(shown)):
                axes.axvline(boundary * patches.shape[2] - 0.5, color="white", linewidth=0.8)
            _bare(axes, title)

    return _png(draw, width=width, height=height), video_gain, audio_gain


def _gain(change: Float[np.ndarray, "*shape"]) -> int:
    """The whole factor that stretches the largest change to half the range."""
    largest = float(np.abs(change).max())
    return max(1, int(0.5 / largest + 1e-3)) if largest else 1


def _bar(axes: Axes, bar: Bar, position: float, *, colour: str, height: float) -> None:
    """A horizontal bar with its interval and its number."""
    low, high = bar.interval
    arms = [[max(0.0, bar.share - low)], [max(0.0, high - bar.share)]]
    axes.barh(position, bar.share, height=height, color=colour, alpha=0.9)
    axes.errorbar(bar.share, position, xerr=arms, color=INK, linewidth=1.1, capsize=3)
    axes.text(max(bar.share, high) + 0.015, position, f"{100 * bar.share:.1f} %", va="center", fontsize=9)


def _curve(axes: Axes, points: Sequence[CurvePoint], *, colour: str, name: str = "") -> None:
    """The worst case over epsilon with a band for its interval."""
    factors = [point.factor for point in points]
    lows, highs = zip(*(point.worst_case_robust_accuracy_interval for point in points), strict=True)
    axes.fill_between(factors, lows, highs, color=colour, alpha=0.2, linewidth=0)
    shares = [point.worst_case_robust_accuracy for point in points]
    axes.plot(factors, shares, color=colour, linewidth=2, marker="o", markersize=5, label=name)


def _curve_frame(axes: Axes, points: Sequence[CurvePoint], *, chance: float) -> None:
    """The axes of a curve: where guessing lies, and where the threat model."""
    factors = [point.factor for point in points]
    axes.axhline(chance, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
    axes.text(
        max(factors), chance + 0.02, "guessing the commonest class", color=MUTED, fontsize=SMALL, ha="right", bbox=paper
    )
    axes.axvline(1.0, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.text(1.0, 1.045, "threat model", color=MUTED, fontsize=SMALL, ha="center")
    axes.set_xlabel("epsilon, as a multiple of the threat model's")
    axes.set_xticks(factors, [f"{factor:g}" for factor in factors])
    share_axis(axes, "y", "robust accuracy", maximum=1.03)


def share_axis(axes: Axes, axis: Literal["x", "y"], title: str, *, maximum: float) -> None:
    """An axis of shares from 0 to 100 %."""
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    labels = [f"{100 * tick:.0f} %" for tick in ticks]
    axes.grid(axis=axis)
    if axis == "x":
        axes.set_xlim(0, maximum)
        axes.set_xticks(ticks, labels)
        axes.set_xlabel(title)
    else:
        axes.set_ylim(0, maximum)
        axes.set_yticks(ticks, labels)
        axes.set_ylabel(title)


def _bare(axes: Axes, title: str) -> None:
    """Only the picture, with its title at the left."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9, labelpad=6)


def _png(draw: Draw, *, width: float, height: float) -> str:
    picture = io.BytesIO()
    save(draw, picture, width=width, height=height, layout=None, format="png", **TIGHT)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
