"""The ways to store a clip as a file: what each leaves of frames and sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import simplejpeg
import torch

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.movies import (
    FULL_SCALE,
    Coding,
    Frames,
    Samples,
    as_16_bit,
    decode_frames,
    decode_samples,
    encode_movie,
    enlarged,
    platform_coding,
    reduced,
)
from preprocessing.schema import ClipFormat
from training.batch import Batch
from training.threat import AudioDomain

StoreFrames = Callable[[Frames], Frames]
StoreSamples = Callable[[Samples], Samples]

SOUND_NOT_STORED = (
    "no storage of sound: the attacks changed log-mel patches, which no file holds, and not the waveform that they are "
    "made of (a threat such as linf(video=4/255, waveform=0.002) is about the waveform)"
)
"""The line for threats to log-mel patches."""


@dataclass(frozen=True)
class Storage:
    """One way to store clips."""

    name: str
    title: str
    frames: StoreFrames | None = None
    """Frames of 8 bit written and read again; None = frames stay as they are, unrounded."""
    samples: StoreSamples | None = None
    """A waveform written and read again; None = the sound stays as it is."""

    def stored(self, batch: Batch) -> Batch:
        """The clips of a batch on the processor, written and read again."""
        video, audio = batch.video, batch.audio
        if self.frames is not None:
            kept = [self.frames(levels_of(clip)) for clip in video.numpy()]
            video = torch.from_numpy(np.stack(kept)).movedim(-1, 2).to(video.dtype) / 255.0
        if self.samples is not None:
            heard = [self.samples(clip.reshape(-1)) for clip in audio.numpy()]
            audio = torch.from_numpy(np.stack(heard)).reshape(audio.shape).to(audio.dtype)
        return batch.with_streams(video, audio)


def storages_of(config: PerceptibilityConfig, clip_format: ClipFormat, domain: AudioDomain) -> tuple[Storage, ...]:
    """Every storage that can be told apart, those of frames first; those of sound where the threat is to waveforms."""
    return tuple(_storages(config, clip_format, domain))


def _storages(config: PerceptibilityConfig, clip_format: ClipFormat, domain: AudioDomain) -> Iterator[Storage]:
    factor = config.enlargement(clip_format.frame_size)
    coding = platform_coding(crf=config.crf, aac_kbps=config.aac_kbps[0])
    h264 = partial(through_h264, coding=coding, clip_format=clip_format)
    movie_frames = partial(h264, factor=factor)
    size = f", enlarged {factor} times" if factor > 1 else ""
    yield Storage("frames_8_bit", "frames of 8 bit", frames=unchanged)
    for quality in config.jpeg_qualities:
        yield Storage(f"jpeg_{quality}", f"JPEG {quality}", frames=partial(through_jpeg, quality=quality))
    yield Storage("h264", f"H.264 crf {config.crf}{size}", frames=movie_frames)
    if factor > 1:
        yield Storage(
            "h264_own_size", f"H.264 crf {config.crf}, frames of {clip_format.frame_size} pixels", frames=h264
        )
    if domain == "logmel":
        return
    yield Storage("sound_16_bit", "sound of 16 bit", samples=through_16_bit)
    for kbps in config.aac_kbps:
        aac = partial(through_aac, coding=platform_coding(crf=config.crf, aac_kbps=kbps), clip_format=clip_format)
        yield Storage(f"aac_{kbps}", f"AAC {kbps} kbit/s", samples=aac)
    yield Storage("lossless", "8 bit and 16 bit: the lossless movie", frames=unchanged, samples=through_16_bit)
    both = partial(through_aac, coding=coding, clip_format=clip_format)
    title = f"H.264 and AAC {config.aac_kbps[0]} kbit/s: the platform's movie"
    yield Storage("platform", title, frames=movie_frames, samples=both)


def levels_of(video: np.ndarray) -> Frames:
    """Frames in [0, 1], `[segments, 3, height, width]`, as the nearest of 256 levels, channels last."""
    return np.moveaxis((video * 255.0).round().clip(0, 255).astype(np.uint8), 1, -1)


def unchanged(frames: Frames) -> Frames:
    """A storage that keeps every level."""
    return frames


def through_jpeg(frames: Frames, *, quality: int) -> Frames:
    """Each frame as JPEG with a quarter of the colour samples, as cameras and platforms write it."""
    return np.stack(
        [
            simplejpeg.decode_jpeg(
                simplejpeg.encode_jpeg(np.ascontiguousarray(frame), quality=quality, colorsubsampling="420")
            )
            for frame in frames
        ]
    )


def through_h264(frames: Frames, *, coding: Coding, clip_format: ClipFormat, factor: int = 1) -> Frames:
    """The frames as a movie, enlarged in it by `factor` and reduced again."""
    large = enlarged(frames, factor)
    movie = encode_movie(large, None, coding, clip_format)
    return reduced(decode_frames(movie, *large.shape[1:3]), factor)


def through_16_bit(samples: Samples) -> Samples:
    """Samples rounded to 16 bit."""
    return as_16_bit(samples).astype(np.float32) / np.float32(FULL_SCALE)


def through_aac(samples: Samples, *, coding: Coding, clip_format: ClipFormat) -> Samples:
    """The sound as AAC; the delay of the encoder is taken out, as players do."""
    return decode_samples(encode_movie(None, samples, coding, clip_format), len(samples))
