from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.corruptions.contact_sheet import contact_sheet
from evaluation.corruptions.kinds.base import Clip
from preprocessing.storage.records import load_index


def test_a_sheet_shows_the_clip_and_its_corruptions(
    stored_clips: list[Clip], tiny_dataset: Path, tmp_path: Path
) -> None:
    """More corruptions make it taller; the same ones make the same bytes."""
    clip_format = load_index(str(tiny_dataset)).format
    heights = []
    for number, names in enumerate([("rain", "underwater"), ("rain", "underwater"), ("rain",)]):
        file = tmp_path / f"{number}.png"
        contact_sheet(stored_clips[0], names, file, clip_format=clip_format, seed=0, recordings=None)  # type: ignore[arg-type]
        heights.append(np.asarray(Image.open(file)).shape[0])
    assert heights[0] == heights[1] > heights[2]
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()
