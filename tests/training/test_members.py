from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import webdataset

from preprocessing.decoding.child import encode_flac
from preprocessing.schema import ClipFormat
from preprocessing.storage.flac import SoundError
from training.members import ShardError, decode_array, decode_waveform, tar_members


def test_keys_may_begin_with_dashes_and_underscores(tmp_path: Path) -> None:
    keys = ("--4-0ihtnBU_000058_000068", "__a_b__cdEF_000001_000011", "_")
    with webdataset.TarWriter(str(tmp_path / "odd.tar"), mtime=0) as writer:
        for key in keys:
            writer.write({"__key__": key, "frame_00.jpg": b"x" * 700, "json": b"{}"})
    names = [
        str(member["fname"]) for member in tar_members((tmp_path / "odd.tar").read_bytes()[:-1024]) if member["fname"]
    ]
    assert names[:2] == ["--4-0ihtnBU_000058_000068.frame_00.jpg", "--4-0ihtnBU_000058_000068.json"]
    assert names[2:4] == ["__a_b__cdEF_000001_000011.frame_00.jpg", "__a_b__cdEF_000001_000011.json"]


def test_sound_of_another_length_is_refused() -> None:
    clip_format = ClipFormat(num_segments=2, segment_seconds=0.1, n_fft=256, hop_length=100)
    flac = encode_flac(np.zeros(3000, np.int16), 16_000)
    with pytest.raises(SoundError, match=r"the sound has 3,000 samples, dataset\.json says 3,200"):
        decode_waveform(flac, clip_format)


@pytest.mark.parametrize("array", [np.zeros(3, np.float32), np.zeros((2, 2), np.float16).T, np.array([{}], object)])
def test_another_kind_of_array_is_refused_and_never_unpickled(array: np.ndarray) -> None:
    file = io.BytesIO()
    np.save(file, array)
    if array.flags.c_contiguous and array.dtype == np.float16:
        pytest.fail("the table should hold only arrays that are no log-mel arrays")
    with pytest.raises(ShardError, match="it should be float16 in C order"):
        decode_array(file.getvalue())
