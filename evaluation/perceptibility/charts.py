"""The charts of the page, each in the colours of light and of dark paper."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.perceptibility.report import AttackPerceptibility, Distribution, PerceptibilityReport
from evaluation.perceptibility.rows import MEASURES, Rows
from evaluation.reporting.chart import Chart, svg
from evaluation.reporting.picture_style import (
    CLEAN,
    FAINT,
    MODELS,
    MUTED,
    WIDTH,
    dot_with_interval,
    label,
    named_rows,
    panel_grid,
    panels,
    title,
)

TITLES = {
    "ssim_video": "SSIM of the frames (1 = the same)",
    "psnr_video_db": "PSNR of the frames, dB (more = nearer)",
    "snr_audio_db": "SNR of the waveform, dB (more = nearer)",
    "lsd_audio_db": "log-spectral distance, dB (0 = the same)",
}
"""Every measure in words."""
SPREAD = 0.26
"""Half the height of a row over which the dots of its clips are spread."""
DOT_COLUMNS = 2
LEGEND_CHARACTERS = 54
"""Characters of names that a line of a legend has room for."""


def measures_of(report: PerceptibilityReport) -> tuple[str, ...]:
    """The measures that any attack has."""
    return tuple(name for name in MEASURES if any(getattr(attack, name) for attack in report.attacks))


def distribution_chart(report: PerceptibilityReport, rows: Rows) -> Chart:
    """A panel per measure, a row per attack: every clip, the span from 5 to 95 %, and the mean with its interval."""
    names, measures = [label(attack.name) for attack in report.attacks], measures_of(report)
    values = {attack.name: rows.under(attack.name) for attack in report.attacks}
    num_rows, _ = panel_grid(len(measures), columns=DOT_COLUMNS)

    def draw(figure: Figure) -> None:
        for axes, measure in zip(
            panels(figure, len(measures), columns=DOT_COLUMNS, share_y=True), measures, strict=True
        ):
            for row, attack in enumerate(report.attacks):
                _distribution(axes, getattr(attack, measure), values[attack.name].numbers(measure), row)
            title(axes, TITLES[measure])
            axes.grid(axis="x")
            axes.set_ylim(len(names) - 0.5, -0.5)
            named_rows(axes, names)

    return Chart.of(svg(draw, width=WIDTH, height=num_rows * (0.8 + 0.42 * len(names))))


def _distribution(axes: Axes, found: Distribution | None, values: Float[np.ndarray, " clips"], row: int) -> None:
    """One attack's clips in its row; nothing where the attack left the modality alone."""
    if found is None:
        return
    known = np.sort(values[~np.isnan(values)])
    offsets = SPREAD * np.cos(np.pi * np.arange(len(known)))  # to one side and the other in turn
    axes.plot(known, row + offsets, "o", color=FAINT, markersize=3.2, zorder=1)
    ends = [found.percentile_5.value, found.percentile_95.value]
    axes.plot(ends, [row, row], color=MUTED, linewidth=1, marker="|", markersize=7, zorder=2)
    mean = found.mean
    dot_with_interval(axes, mean.value, mean.interval or (mean.value, mean.value), row, colour=CLEAN)


def survival_chart(report: PerceptibilityReport) -> Chart | None:
    """A row per storage, a dot with its interval per attack; None if no attack fools any clip."""
    fooling = [attack for attack in report.attacks if attack.num_fooled]
    if not fooling:
        return None
    rows = [label(storage.title) for storage in report.storages]
    columns = max(1, min(len(fooling), 3, LEGEND_CHARACTERS // max(len(attack.name) for attack in fooling)))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, attack in enumerate(fooling):
            _survival(axes, attack, number, len(fooling))
        axes.set_xlim(-0.03, 1.03)
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlabel("share of the fooling clips that still fool the model")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="x")
        named_rows(axes, rows)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)

    return Chart.of(svg(draw, width=WIDTH, height=1.2 + (0.2 + 0.16 * len(fooling)) * len(rows)))


def _survival(axes: Axes, attack: AttackPerceptibility, number: int, num_attacks: int) -> None:
    """One attack's dots, beside those of the others."""
    colour, offset = MODELS[number % len(MODELS)], (number - (num_attacks - 1) / 2) * 0.7 / num_attacks
    for row, survival in enumerate(attack.storages):
        assert survival.still_fooled is not None
        assert survival.still_fooled_interval is not None
        axes.plot(survival.still_fooled_interval, [row + offset] * 2, color=colour, linewidth=2)
        axes.plot(survival.still_fooled, row + offset, "o", color=colour, markersize=4.5)
    axes.plot([], [], "o-", color=colour, label=label(attack.name))
