"""The contact sheet: one clip untouched and under every corruption, frames beside its log-mel spectrogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.corruptions.kinds.base import Clip, Severity
from evaluation.corruptions.kinds.listing import CORRUPTIONS, CorruptionName
from evaluation.corruptions.materials.recordings import Recordings
from evaluation.reporting.picture_style import MUTED, save
from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat

SHOWN_SEVERITIES: tuple[Severity, ...] = (1, 3, 5)
SHOWN_FRAMES = 3
"""Frames of a clip that are shown: neighbours, so that it is seen what stays and what moves."""
CELL = 0.95
"""Inches of a frame."""
SOUND_CELLS = 1.7
"""Width of a spectrogram in frames."""


@dataclass(frozen=True)
class Shown:
    """One clip under one corruption."""

    title: str
    video: Float[np.ndarray, "segments 3 height width"]
    logmel: Float[np.ndarray, "mels steps"]


def contact_sheet(
    clip: Clip,
    names: Sequence[CorruptionName],
    to: Path,
    *,
    clip_format: ClipFormat,
    seed: int,
    recordings: Recordings | None,
) -> None:
    """Write a PNG: the untouched clip, then a row per corruption with its severities 1, 3 and 5 side by side."""
    untouched = [_shown("", clip, clip_format)]
    rows = [("untouched", untouched)]
    for name in names:
        corrupted = [
            _shown(f"severity {severity}", _corrupted(name, clip, severity, seed, recordings), clip_format)
            for severity in SHOWN_SEVERITIES
        ]
        rows.append((name.replace("_", "\n"), corrupted))

    frames = min(SHOWN_FRAMES, len(clip.video))
    width = 1.1 + CELL * len(SHOWN_SEVERITIES) * (frames + SOUND_CELLS + 0.25)

    def draw(figure: Figure) -> None:
        columns = [1.0] * frames + [SOUND_CELLS, 0.25]
        grid = figure.add_gridspec(
            len(rows),
            len(columns) * len(SHOWN_SEVERITIES),
            width_ratios=columns * len(SHOWN_SEVERITIES),
            hspace=0.2,
            wspace=0.04,
            left=1.1 / width,
            right=1.0,
            top=1.0,
            bottom=0.0,
        )
        for row, (name, panels) in enumerate(rows):
            for number, shown in enumerate(panels):
                first = number * len(columns)
                cells = [figure.add_subplot(grid[row, first + each]) for each in range(frames + 1)]
                _draw(cells, shown, name=name if number == 0 else "", is_titled=row == 1)

    save(draw, to, width=width, height=(CELL * 1.03) * len(rows), layout=None, bbox_inches="tight", pad_inches=0.05)


def _corrupted(name: CorruptionName, clip: Clip, severity: Severity, seed: int, recordings: Recordings | None) -> Clip:
    return CORRUPTIONS[name](clip, severity, seed=seed, recordings=recordings)


def _shown(title: str, clip: Clip, clip_format: ClipFormat) -> Shown:
    waveform = torch.from_numpy(clip.waveform).reshape(clip_format.num_segments, clip_format.segment_samples)
    patches = LogMel(clip_format)(waveform)
    return Shown(title, clip.video, torch.cat(list(patches), dim=1).numpy())


def _draw(cells: Sequence[Axes], shown: Shown, *, name: str, is_titled: bool) -> None:
    """The frames and the spectrogram of one clip, low frequencies at the bottom."""
    for axes, frame in zip(cells, shown.video, strict=False):
        axes.imshow(frame.transpose(1, 2, 0), interpolation="nearest", aspect="auto", vmin=0.0, vmax=1.0)
    cells[-1].imshow(shown.logmel, origin="lower", aspect="auto", cmap="magma", vmin=0.0, vmax=1.0)
    for axes in cells:
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
    if name:
        cells[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9, labelpad=6)
    if is_titled:
        cells[0].set_title(shown.title, loc="left", fontsize=8, color=MUTED, pad=3)
