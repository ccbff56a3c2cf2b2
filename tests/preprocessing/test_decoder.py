"""What the decoder process makes of a decoded clip, and what it must not load."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from preprocessing.decoder import encode_flac, encode_jpeg
from preprocessing.decoding import DecodeOptions
from preprocessing.supervision import DecoderProcess, ProcessLimits


def decoded(flac: bytes) -> NDArray[np.int16]:
    with av.open(io.BytesIO(flac), "r") as container:
        blocks = [block.to_ndarray()[0] for block in container.decode(container.streams.audio[0])]
    return np.concatenate(blocks)


@pytest.mark.parametrize("num_samples", [1, 1600, 4096, 4097, 160_000])
def test_flac_holds_exactly_the_samples(num_samples: int) -> None:
    generator = np.random.default_rng(num_samples)
    noise = generator.integers(-32768, 32767, num_samples, dtype=np.int16, endpoint=True)
    assert np.array_equal(decoded(encode_flac(noise, 16_000)), noise)
    assert np.array_equal(decoded(encode_flac(np.zeros_like(noise), 16_000)), np.zeros_like(noise))


def test_flac_is_smaller_than_with_the_encoders_own_settings() -> None:
    """Noise with most of its power below 1 kHz, as speech and music have."""
    noise = np.random.default_rng(0).normal(0, 1, 32_000)
    samples = (2000 * np.convolve(noise, np.hanning(16) / 8, "same")).astype(np.int16)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    assert len(encode_flac(samples, 16_000)) < len(buffer.getvalue())


def test_a_jpeg_shows_the_picture_and_is_the_same_every_time() -> None:
    """Slopes of all three channels: a picture of another channel order or orientation would be far off."""
    rows, columns = np.mgrid[0:48, 0:64]
    rgb = np.stack([4 * columns, 5 * rows, 255 - 4 * columns], axis=-1).clip(0, 255).astype(np.uint8)
    jpeg = encode_jpeg(rgb, 95)
    assert np.abs(np.asarray(Image.open(io.BytesIO(jpeg))) - rgb.astype(int)).mean() < 2
    assert encode_jpeg(rgb, 95) == jpeg
    assert len(encode_jpeg(rgb, 50)) < len(jpeg)


def test_the_decoder_process_does_not_load_torch(video: Path, options: DecodeOptions) -> None:
    """Seen from outside, after a clip: the process maps libav, and no library of torch."""
    with DecoderProcess(options, ProcessLimits(clip_seconds=30.0, memory_mib=2048)) as decoder:
        decoder.decode(video, root=video.parent, start_seconds=None)
        mapped = Path(f"/proc/{decoder.pid}/maps").read_text()
    assert "libavcodec" in mapped
    assert "torch" not in mapped
