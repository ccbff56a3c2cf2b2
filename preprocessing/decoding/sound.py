"""The sound of a clip: mono samples at the stored rate, each block where its own timestamp puts it."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from preprocessing.decoding.frames import count_error
from preprocessing.decoding.segments import Grid, Sound
from preprocessing.decoding.timeline import AnyPacket

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
        self._start = 0.0
        self._end = 0.0
        self._restart(0.0)

    def add(self, block: AudioFrame, start_seconds: float | None) -> None:
        """Add a decoded block that starts at `start_seconds` on the video clock (None: where the last one ended)."""
        start = self._end if start_seconds is None else start_seconds
        block.pts = None  # from here on samples are counted; where the first one lies is kept beside them
        if abs(start - self._end) > MAX_JUMP_SECONDS or not self._queued(block):
            self.finish()
            self._restart(start)
            self._queued(block)
        self._end += block.samples / block.sample_rate
        if self._queue.samples >= block.sample_rate:
            self._resample()

    def finish(self) -> None:
        """End the sound that is being collected."""
        self._resample()
        if self._parts:
            self._parts += self._resampler.resample(None)
            self.sounds.append(Sound(self._start, np.concatenate([part.to_ndarray()[0] for part in self._parts])))
        self._restart(self._end)

    def _restart(self, start_seconds: float) -> None:
        self._start = self._end = start_seconds
        # Blocks are resampled a second at a time: each by itself would take twice as long, for the same samples.
        self._queue = AudioFifo()
        # Channels are averaged: ffmpeg's weights for floating-point samples add up to more than full scale.
        self._resampler = AudioResampler("flt", "mono", self._rate, options={"rematrix_maxval": "1.0"})
        self._parts: list[AudioFrame] = []

    def _queued(self, block: AudioFrame) -> bool:
        """Queue a block, unless its rate, channels or sample format differ from those before."""
        try:
            self._queue.write(block)
        except ValueError:
            return False
        return True

    def _resample(self) -> None:
        queued = self._queue.read() if self._queue.samples else None
        if queued is not None:
            queued.pts = None
            self._parts += self._resampler.resample(queued)


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
