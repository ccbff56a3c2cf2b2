from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmarks.clips import write_clips
from preprocessing.errors import DataError
from preprocessing.schema import ClipFormat
from studies.transfer.beds import Bed
from tests.studies.transfer.archives import write_archives


def test_an_archive_per_part(tmp_path: Path) -> None:
    write_archives(tmp_path)
    bed = Bed(path=str(tmp_path / "report.npz"), train=str(tmp_path / "train.npz"), num_segments=2, shrink=2)
    clips = bed.load("report")
    assert str(bed) == "report"
    assert clips.video.shape == (16, 2, 3, 8, 8)
    assert clips.audio.shape == (16, 2, 16, 12)
    stored = np.load(tmp_path / "report.npz")["v"][3, 2, :, 2:4, 4:6].mean((1, 2)) / 255
    assert torch.allclose(clips.video[3, 1, :, 1, 2].double(), torch.from_numpy(stored), atol=1e-6)
    batches = clips.batches()
    assert [key for batch in batches for key in batch.keys] == [str(number) for number in range(16)]
    with pytest.raises(DataError, match=r"bed 'report' has no clips to choose: name them as choose=FILE\.npz"):
        bed.load("choose")


def test_a_preprocessed_data_set(tmp_path: Path) -> None:
    clip_format = ClipFormat(num_segments=2, segment_seconds=0.16, frame_size=16, num_mels=16)
    write_clips(tmp_path, clip_format, num_train=8, num_validation=4)
    clips = Bed(path=str(tmp_path), shrink_audio=3).load("choose")
    assert clips.video.shape == (4, 2, 3, 16, 16)
    assert clips.audio.shape == (4, 2, 5, clip_format.steps // 3)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"path": "a.npz"}, "name those to learn as train=FILE.npz"),
        ({"path": "folder", "choose": "a.npz"}, "leave out train and choose"),
        ({"path": "folder", "epsilon": 0}, "greater than 0"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Bed.model_validate(settings)


def test_wrong_shapes_and_segments_are_told(tmp_path: Path) -> None:
    write_archives(tmp_path)
    file = str(tmp_path / "train.npz")
    with pytest.raises(DataError, match="num_segments=3 does not divide the 4 that are stored"):
        Bed(path=file, train=file, num_segments=3).load("train")
    np.savez(tmp_path / "odd.npz", v=np.zeros((2, 4, 3, 8, 8)), a=np.zeros((2, 4, 1, 8, 8), np.uint8), y=np.zeros(2))
    with pytest.raises(DataError, match=r"holds v float64\[2, 4, 3, 8, 8\].*allowed: v uint8"):
        Bed(path=str(tmp_path / "odd.npz"), train=file).load("report")
