"""Real videos that take milliseconds to make and to decode."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TINY_CLASSES = ("playing accordion", "playing drums", "playing piano", "singing")
TINY_COLOURS = ((200, 60, 60), (60, 190, 60), (60, 60, 200), (190, 190, 60))
TINY_TONES_HZ = (220.0, 520.0, 1250.0, 3000.0)
FRAMES_PER_SECOND = 10
SAMPLE_RATE_HZ = 16_000


def write_tiny_video(path: Path, *, label: int, seed: int, seconds: float = 2.0, has_sound: bool = True) -> None:
    """Encode H.264 and AAC: a square of the class's colour moves over noise while the class's tone sounds."""
    generator = np.random.default_rng([label, seed])
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast", "crf": "25"})
        video.width, video.height, video.pix_fmt = 48, 40, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono") if has_sound else None
        for index in range(round(seconds * FRAMES_PER_SECOND)):
            picture = generator.integers(0, 120, (40, 48, 3), dtype=np.uint8)
            left = (index + 3 * seed) % 20
            picture[8:32, left : left + 28] = TINY_COLOURS[label]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_SECOND)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is None:
            return
        times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        tone = np.sin(2 * np.pi * TINY_TONES_HZ[label] * generator.uniform(0.95, 1.05) * times)
        waveform = generator.uniform(0.1, 0.4) * tone + generator.normal(0, 0.02, tone.shape)
        sound = av.AudioFrame.from_ndarray(waveform.astype(np.float32)[np.newaxis, :], format="fltp", layout="mono")
        sound.sample_rate = SAMPLE_RATE_HZ
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def make_unlike(path: Path, word: str) -> None:
    """Append an MP4 box that holds a word and means nothing: of equal videos in two splits only one would be kept."""
    with path.open("ab") as stream:
        stream.write(struct.pack(">I4s", 8 + len(word), b"free") + word.encode())
