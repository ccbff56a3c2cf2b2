"""The sound of a clip: mono samples at the stored rate, each block where its own timestamp puts it."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from preprocessing.frames import AnyPacket, count_error
from preprocessing.segments import Grid, Sound

# Decoded before and after the clip so that codec and resampler have settled: AAC, MP3 and Opus need 0.1 s at most.
MARGIN_SECONDS = 0.5
# Containers round the times of blocks; a larger jump is a real gap.
MAX_JUMP_SECONDS = 0.005


class SoundRuns:
    """Collects decoded blocks into sounds: a block that does not continue the one before starts a new one.

    Joining all samples instead would move everything after a gap or a late start against the picture.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.sounds: list[Sound] = []
        self._rate = sample_rate_hz
        self._resampler: AudioResampler | None = None
        self._layout = (0, "", "")
        self._start = 0.0
        self._end = 0.0
        self._parts: list[NDArray[np.float32]] = []

    def add(self, block: AudioFrame, start_seconds: float | None) -> None:
        """Add a decoded block that starts at `start_seconds` on the video clock (None: where the last one ended)."""
        layout = (block.sample_rate, block.layout.name, block.format.name)
        start = self._end if start_seconds is None else start_seconds
        if layout != self._layout or abs(start - self._end) > MAX_JUMP_SECONDS or self._resampler is None:
            self.finish()
            self._resampler = AudioResampler(format="flt", layout="mono", rate=self._rate, frame_size=self._rate)
            self._layout, self._start, self._end = layout, start, start
        block.pts = None
        self._parts += [part.to_ndarray()[0] for part in self._resampler.resample(block)]
        self._end += block.samples / block.sample_rate

    def finish(self) -> None:
        """End the sound that is being collected."""
        if self._resampler is not None:
            self._parts += [part.to_ndarray()[0] for part in self._resampler.resample(None)]
        if self._parts:
            self.sounds.append(Sound(self._start, np.concatenate(self._parts)))
        self._resampler, self._parts = None, []


def decode_sound(
    audio: AudioStream, packets: Sequence[AnyPacket], zero_seconds: float, grid: Grid
) -> tuple[list[Sound], int]:
    """The sounds around the clip, placed on the video clock, and the number of packets that failed."""
    time_base = float(audio.time_base or 0)
    runs = SoundRuns(grid.sample_rate_hz)
    errors = 0
    for packet in [*packets_around(packets, time_base, zero_seconds, grid), None]:
        try:
            blocks = audio.codec_context.decode(packet)
        except av.FFmpegError as error:
            errors += count_error(error)
            continue
        for block in blocks:
            runs.add(block, None if block.pts is None else block.pts * time_base - zero_seconds)
    runs.finish()
    return runs.sounds, errors


def packets_around(packets: Sequence[AnyPacket], time_base: float, zero_seconds: float, grid: Grid) -> list[AnyPacket]:
    """The packets whose sound may reach into the clip."""
    first, last = grid.start_seconds - MARGIN_SECONDS, grid.end_seconds + MARGIN_SECONDS
    return [
        packet for packet in packets if packet.pts is None or first <= packet.pts * time_base - zero_seconds <= last
    ]
