"""A bed of small clips whose class both modalities show: a bright square in one of two corners, a loud band."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_archives(folder: Path) -> None:
    """`train.npz`, `choose.npz` and `report.npz` in `folder`."""
    for seed, (name, count) in enumerate({"train": 192, "choose": 16, "report": 16}.items()):
        random = np.random.default_rng(seed)
        labels = np.arange(count) % 2
        video = random.integers(90, 160, (count, 4, 3, 16, 16))
        audio = random.integers(90, 160, (count, 4, 1, 16, 12))
        for clip, label in enumerate(labels):
            side = slice(0, 8) if label else slice(8, 16)
            video[clip, :, :, side, side] += 60
            audio[clip, :, :, side] += 60
        np.savez(folder / f"{name}.npz", v=video.astype(np.uint8), a=audio.astype(np.uint8), y=labels)
