"""Preprocessing end to end: real videos, real Ray, real shards."""

from __future__ import annotations

from pathlib import Path

from preprocessing.run import verify
from preprocessing.schema import load_index


def test_a_finished_data_set_is_whole(tiny_dataset: Path) -> None:
    index = load_index(str(tiny_dataset))
    assert verify(str(tiny_dataset)) == []
    assert index.num_clips == {"train": 24, "validation": 8, "test": 8}
    assert index.classes == ("playing accordion", "playing drums", "playing piano", "singing")
