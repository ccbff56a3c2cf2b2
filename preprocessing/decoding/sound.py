"""The sound of a clip: mono samples at the stored rate, each where the clock of its sound plays it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from preprocessing.decoding.frames import count_error
from preprocessing.decoding.sample_clock import MAX_DRIFT, follow_clock
from preprocessing.decoding.segments import Grid, Sound
from preprocessing.decoding.timeline import AnyPacket, Packets

# Decoded before and after the clip so that codec and resampler have settled: AAC, MP3 and Opus need 0.1 s at most.
MARGIN_SECONDS = 0.5
# Rates are whole numbers of hertz: in thousandths of them a drift is followed to 0.1 ms in 600 s, also at 8 kHz.
RATE_STEPS_PER_HZ = 1000


@dataclass(frozen=True)
class Block:
    """Samples that were decoded together."""

    frame: AudioFrame
    start_seconds: float | None
    """The moment, on the video clock, that is stamped on its first sample."""

    @property
    def kind(self) -> tuple[int, str, str]:
        """Rate, channels and sample format: blocks in which they differ cannot be joined."""
        return self.frame.sample_rate, self.frame.layout.name, self.frame.format.name


def decode_sound(audio: AudioStream, packets: Packets, zero_seconds: float, grid: Grid) -> tuple[list[Sound], int]:
    """The sounds around the clip, placed on the video clock, and the number of packets that failed."""
    time_base = float(audio.time_base or 0)
    blocks: list[Block] = []
    errors = 0
    for packet in [*packets_around(packets, time_base, zero_seconds, grid), None]:
        try:
            for frame in audio.codec_context.decode(packet):
                blocks.append(Block(frame, None if frame.pts is None else frame.pts * time_base - zero_seconds))
        except av.FFmpegError as error:
            errors += count_error(error)
    return list(join(blocks, grid.sample_rate_hz)), errors


def packets_around(packets: Packets, time_base: float, zero_seconds: float, grid: Grid) -> list[AnyPacket]:
    """The packets whose sound may reach into the clip."""
    first, last = grid.start_seconds - MARGIN_SECONDS, grid.end_seconds + MARGIN_SECONDS
    seconds = packets.pts * time_base - zero_seconds
    return [packets.in_order[index] for index in np.flatnonzero(~((seconds < first) | (seconds > last))).tolist()]


def join(blocks: Iterable[Block], sample_rate_hz: int) -> Iterator[Sound]:
    """The blocks as sounds: a new one begins where the clock jumps, or where their kind changes.

    Joining all samples instead would move everything after a gap or a late start against the picture. Blocks of which
    none has a stamp continue those before them.
    """
    end = 0.0
    for _, alike in groupby(blocks, key=lambda block: block.kind):
        group = list(alike)
        stamps = np.array([np.nan if block.start_seconds is None else block.start_seconds for block in group])
        if np.isnan(stamps).all():
            stamps[0] = end
        lengths = np.array([block.frame.samples / block.frame.sample_rate for block in group])
        for run in follow_clock(stamps, lengths):
            frames = [block.frame for block in group[run.first : run.stop]]
            # What drifts further is refused (`acceptance.check_sound`), or a small part of what is heard.
            followed = run.drift if abs(run.drift) <= MAX_DRIFT else 0.0
            samples = resampled(frames, sample_rate_hz, drift=followed)
            yield Sound(run.start_seconds, samples, run.drift)
            end = run.start_seconds + float(lengths[run.first : run.stop].sum()) * (1 + followed)


def resampled(frames: Sequence[AudioFrame], sample_rate_hz: int, *, drift: float) -> NDArray[np.float32]:
    """Frames of one kind as mono samples `[samples]`, made longer by `drift`."""
    rate, steps = frames[0].sample_rate, 1
    if drift:  # resampling looks at the ratio of the two rates only
        rate, steps = round(rate * RATE_STEPS_PER_HZ / (1 + drift)), RATE_STEPS_PER_HZ
    # Channels are averaged: ffmpeg's weights for floating-point samples add up to more than full scale.
    resampler = AudioResampler("flt", "mono", sample_rate_hz * steps, options={"rematrix_maxval": "1.0"})
    parts: list[AudioFrame] = []
    # Resampled a second at a time: each frame by itself would take twice as long, for the same samples.
    queue = AudioFifo()
    for frame in frames:
        second = frame.sample_rate
        frame.pts = None  # samples are counted: where the first one plays is kept beside them
        frame.sample_rate = rate
        queue.write(frame)
        if queue.samples >= second:
            parts += resampler.resample(emptied(queue))
    if queue.samples:
        parts += resampler.resample(emptied(queue))
    parts += resampler.resample(None)
    return np.concatenate([np.zeros(0, np.float32), *(part.to_ndarray()[0] for part in parts)])


def emptied(queue: AudioFifo) -> AudioFrame:
    """All that is in a queue."""
    frame = queue.read()
    assert frame is not None, "a queue with samples gives a frame"
    frame.pts = None
    return frame
