from __future__ import annotations

import io

import av
import numpy as np
import pytest

from preprocessing.decoding.child import encode_flac
from preprocessing.storage.flac import SoundError, decode_flac


def test_every_value_of_16_bit_comes_back_as_it_was_stored() -> None:
    samples = np.random.default_rng(0).permutation(np.arange(-32768, 32768)).astype(np.int16)
    np.testing.assert_array_equal(decode_flac(encode_flac(samples, 16_000)), samples)


@pytest.mark.parametrize("flac", [b"", b"fLaC", b"?" * 3000])
def test_a_damaged_file_is_an_error(flac: bytes) -> None:
    with pytest.raises(SoundError, match="the sound cannot be decoded"):
        decode_flac(flac)


def test_another_sample_format_is_an_error() -> None:
    """Two channels would otherwise become a clip of twice the length."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=16_000, layout="stereo", format="s16")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 3200), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 16_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(SoundError, match="the sound has 2 channels of s16; it should have one"):
        decode_flac(buffer.getvalue())
