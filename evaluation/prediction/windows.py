"""The windows over a video of any length, each decoded as a clip is for training."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.opened_video import OpenedVideo
from preprocessing.decoding.parent import DecoderProcess, EncodedClip
from preprocessing.schema import ClipFormat
from preprocessing.storage.members import frame_members
from preprocessing.storage.sample_builder import SampleBuilder
from preprocessing.storage.stored_sample import StoredSample
from training.data import StoredBatch
from training.threat import AudioDomain


@dataclass(frozen=True)
class Window:
    """A piece of a video as long as a clip, on the video clock: decoded, or the reason why it is not."""

    start_seconds: float
    end_seconds: float
    video_seconds: float
    """Length of the whole video."""
    num_windows: int
    """Windows that the video has."""
    clip: EncodedClip | None = None
    refusal: DecodeError | None = None


def window_starts(
    video_seconds: float | int, *, clip_seconds: float | int, hop_seconds: float | int, slack_seconds: float | int
) -> tuple[float, ...]:
    """Starts of the windows in seconds: every `hop_seconds` from 0, and one more that ends with the video.

    The last is left out where the others miss less than `slack_seconds` of the video. A video that is shorter than a
    clip has one window, from 0.
    """
    last = video_seconds - clip_seconds
    count = 1 + max(int((last + 1e-6) / hop_seconds), 0)
    starts = tuple(float(number * hop_seconds) for number in range(count))
    return (*starts, float(last)) if last - starts[-1] > slack_seconds else starts


def decoded_windows(
    decoder: DecoderProcess, path: Path, options: DecodeOptions, *, root: Path, hop_seconds: float | int
) -> Generator[Window, None, None]:
    """The windows of a video that lies inside `root`, in order; one that cannot be decoded costs no other.

    The video is read once, so that a window costs the same wherever it lies.

    Raises:
        DecodeError: in the place of the first window, if no clip of the video could be decoded.
    """
    length = options.num_segments * options.segment_seconds
    with OpenedVideo(decoder, path, root=root) as video:
        seconds = video.length.video_seconds
        starts = window_starts(
            seconds, clip_seconds=length, hop_seconds=hop_seconds, slack_seconds=options.missing_end_seconds
        )
        for start in starts:
            window = Window(start, start + length, seconds, len(starts))
            try:
                clip = video.decode(start)
            except DecodeError as error:
                yield replace(window, refusal=error)
            else:
                yield replace(window, clip=clip)


def batch_of(clips: Sequence[EncodedClip], clip_format: ClipFormat, *, audio_domain: AudioDomain) -> StoredBatch:
    """Decoded clips as they would be read from shards, bit for bit; labels are 0, keys name video and time.

    Raises:
        SampleError: if the decoder process has sent frames of another size.
    """
    size = clip_format.frame_size
    frames = np.empty((len(clips), clip_format.num_segments, size, size, 3), np.uint8)
    keys = tuple(f"{clip.source_sha256}@{clip.start_seconds}" for clip in clips)
    for key, clip, into in zip(keys, clips, frames, strict=True):
        jpegs = dict(zip(frame_members(clip_format.num_segments), clip.jpegs, strict=True))
        StoredSample(key, jpegs, clip_format).decode_frames(into=into)
    return StoredBatch(
        frames=torch.from_numpy(frames),
        audio=_sound(clips, clip_format, audio_domain=audio_domain),
        labels=torch.zeros(len(clips), dtype=torch.long),
        keys=keys,
    )


def _sound(clips: Sequence[EncodedClip], clip_format: ClipFormat, *, audio_domain: AudioDomain) -> Tensor:
    """Log-mel patches `[clips, segments, mels, steps]` in half precision, or samples `[clips, segments, samples]`."""
    if audio_domain == "waveform":
        samples = np.stack([clip.samples.reshape(clip_format.num_segments, -1) for clip in clips])
        return torch.from_numpy(samples.astype(np.int16))
    builder = SampleBuilder(clip_format)
    return torch.from_numpy(np.stack([builder.logmel_patches(clip) for clip in clips]))
