"""The base of all corruptions, with their guarantees: ranges, sizes, the input left alone, one process over a clip."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeVar

import numpy as np
from jaxtyping import Float

from evaluation.corruptions.kinds.published import NOISE_SNR_DB, Levels
from evaluation.corruptions.materials.draws import Draws
from evaluation.corruptions.materials.mixing import Wave, mixed
from evaluation.corruptions.materials.recordings import Recordings
from evaluation.corruptions.materials.textures import Frames, Size
from preprocessing.settings import Settings

Group = Literal["digital", "environmental", "human", "masking"]
Severity = Literal[1, 2, 3, 4, 5]
SEVERITIES: tuple[Severity, ...] = (1, 2, 3, 4, 5)

Array = TypeVar("Array", bound=np.ndarray)


@dataclass(frozen=True)
class Clip:
    """One clip as it is corrupted: its frames, and the waveform that its log-mel patches are made of."""

    video: Frames
    """In [0, 1], of any size; frame t is the picture at the middle of segment t."""
    waveform: Wave
    """Mono, in [-1, 1], of any length."""
    sample_rate_hz: int
    segment_seconds: float
    key: str
    """Name of the clip: its randomness is keyed by it."""

    @property
    def size(self) -> Size:
        """Height and width of its frames in pixels."""
        return self.video.shape[2], self.video.shape[3]

    @property
    def frame_seconds(self) -> Float[np.ndarray, " segments"]:
        """Time of each frame."""
        return (np.arange(len(self.video)) + 0.5) * self.segment_seconds

    @property
    def sample_seconds(self) -> Wave:
        """Time of each sample."""
        return np.asarray(np.arange(len(self.waveform)) / self.sample_rate_hz)


class Corruption(Settings):
    """Numbers plus a call. Holds no clip and no random state.

    `corruption(clip, severity, seed=seed)` returns the same clip corrupted, such that

    * frames lie in [0, 1] and samples in [-1, 1], sizes and lengths are as they were, and the input is not written to;
    * it depends on the clip, the clip's key, the corruption's name, the severity and the seed, and on nothing else;
    * a clip has one process: what is drawn for it (an angle, an occluder, drops that fall) holds for all of its frames,
      and for all severities, which turn the same process up.
    """

    name: str
    group: ClassVar[Group]
    needs_noise: ClassVar[bool] = False
    """True if its sound is a noise from elsewhere, which a recording can be."""

    def __call__(self, clip: Clip, severity: Severity, *, seed: int, recordings: Recordings | None = None) -> Clip:
        """Corrupt both modalities of a clip; `recordings` take the place of synthesised noises.

        Raises:
            ValueError: if there is no such severity.
        """
        if severity not in SEVERITIES:
            raise ValueError(f"severity: got {severity}; allowed: {SEVERITIES[0]} to {SEVERITIES[-1]}")
        clean = replace(clip, video=_locked(clip.video), waveform=_locked(clip.waveform))
        draws = Draws(seed, self.name, clip.key)
        video = self.corrupt_video(clean, severity, draws)
        waveform = self.corrupt_sound(clean, severity, draws, recordings)
        return replace(
            clip,
            video=video.clip(0.0, 1.0).astype(np.float32),
            waveform=waveform.clip(-1.0, 1.0).astype(np.float32),
        )

    @abstractmethod
    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The corrupted frames; the caller cuts them off at the range."""

    @abstractmethod
    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The corrupted waveform; the caller cuts it off at the range."""


class NoisyCorruption(Corruption):
    """A corruption whose cause makes a noise: it is mixed in at a ratio, and its loudness follows the clip's gusts."""

    snr_db: Levels = NOISE_SNR_DB
    """Signal-to-noise ratio of the sound over the whole clip, in decibels."""
    needs_noise: ClassVar[bool] = True

    @abstractmethod
    def noise(self, random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
        """The synthesised noise, at any level."""

    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The waveform with the noise."""
        num_samples, rate_hz = len(clip.waveform), clip.sample_rate_hz
        if recordings is None:
            noise = self.noise(draws.random("sound"), num_samples, rate_hz)
        else:
            noise = recordings.noise(draws, num_samples, rate_hz)
        return mixed(clip.waveform, noise * draws.gusts().at(clip.sample_seconds), snr_db=at(self.snr_db, severity))


def at(levels: Levels, severity: Severity) -> float:
    """The number for a severity."""
    return levels[severity - 1]


def _locked(values: Array) -> Array:
    """A view that cannot be written to."""
    view = values.view()
    view.flags.writeable = False
    return view
