from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.planning.clips import index_with_clips, open_data
from preprocessing.errors import PlaceError, SettingsError
from training.threat import ThreatModel


def test_a_data_set_is_opened_if_its_clips_can_be_attacked(tiny_dataset: Path) -> None:
    assert open_data(str(tiny_dataset), "test", ThreatModel(segments=(0, 3))).num_clips["test"] == 8
    with pytest.raises(SettingsError, match=r"names segment 4, but the clips of '.*' have 4 segments \(from 0\)"):
        open_data(str(tiny_dataset), "test", ThreatModel(segments=(4,)))


def test_a_folder_without_a_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="is not a finished data set"):
        index_with_clips(str(tmp_path), "test")
