"""Digital corruptions: what a sensor, a wire and a codec do. Noise of a sensor is drawn afresh for every frame."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import simplejpeg
from scipy import fft

from evaluation.corruptions.kinds.base import Clip, Corruption, Group, Severity, at
from evaluation.corruptions.kinds.published import (
    DIGITAL_SNR_DB,
    GAUSSIAN_SIGMA,
    IMPULSE_SHARE,
    IMPULSE_SOUND_SHARE,
    JPEG_QUALITY,
    LOW_PASS_HZ,
    LOW_PASS_ORDER,
    SHOT_SCALE,
    SPECKLE_SIGMA,
    Levels,
)
from evaluation.corruptions.materials.draws import Draws
from evaluation.corruptions.materials.mixing import Wave, mixed
from evaluation.corruptions.materials.recordings import Recordings
from evaluation.corruptions.materials.textures import Frames


class Gaussian(Corruption):
    """Additive white noise in both modalities."""

    name: Literal["gaussian"] = "gaussian"
    group: ClassVar[Group] = "digital"
    sigma: Levels = GAUSSIAN_SIGMA
    """Standard deviation of a pixel value."""
    snr_db: Levels = DIGITAL_SNR_DB
    """Signal-to-noise ratio of the sound in decibels."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames with the noise."""
        noise = draws.random("video").standard_normal(clip.video.shape)
        return np.asarray(clip.video + at(self.sigma, severity) * noise)

    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The waveform with the noise."""
        noise = draws.random("sound").standard_normal(len(clip.waveform))
        return mixed(clip.waveform, noise, snr_db=at(self.snr_db, severity))


class Impulse(Corruption):
    """Salt and pepper: pixel values at one end of their range, and clicks in the sound."""

    name: Literal["impulse"] = "impulse"
    group: ClassVar[Group] = "digital"
    share: Levels = IMPULSE_SHARE
    """Share of the pixel values."""
    sound_share: float = IMPULSE_SOUND_SHARE
    """Share of the samples that have a click."""
    snr_db: Levels = DIGITAL_SNR_DB
    """Signal-to-noise ratio of the sound in decibels."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames with black and white values."""
        random = draws.random("video")
        is_hit = random.random(clip.video.shape) < at(self.share, severity)
        return np.where(is_hit, random.integers(2, size=clip.video.shape), clip.video)

    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The waveform with clicks of either sign and one strength."""
        random, num_samples = draws.random("sound"), len(clip.waveform)
        clicks = np.zeros(num_samples)
        places = random.permutation(num_samples)[: max(1, round(self.sound_share * num_samples))]
        clicks[places] = random.choice([-1.0, 1.0], len(places))
        return mixed(clip.waveform, clicks, snr_db=at(self.snr_db, severity))


class Shot(Corruption):
    """The noise of counting few photons: a Poisson number in place of each value."""

    name: Literal["shot"] = "shot"
    group: ClassVar[Group] = "digital"
    scale: Levels = SHOT_SCALE
    """Photons at full brightness."""
    snr_db: Levels = DIGITAL_SNR_DB
    """Signal-to-noise ratio of the sound in decibels."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames as they are counted."""
        scale = at(self.scale, severity)
        return draws.random("video").poisson(clip.video * scale) / scale

    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The waveform, shifted to [0, 1] and counted; what that adds is brought to the ratio."""
        photons = max(self.scale) * (clip.waveform + 1.0) / 2.0
        noise = draws.random("sound").poisson(photons) - photons
        return mixed(clip.waveform, noise, snr_db=at(self.snr_db, severity))


class Speckle(Corruption):
    """Multiplicative noise: what is black or silent stays so."""

    name: Literal["speckle"] = "speckle"
    group: ClassVar[Group] = "digital"
    sigma: Levels = SPECKLE_SIGMA
    """Standard deviation of the factor of a pixel value about 1."""
    snr_db: Levels = DIGITAL_SNR_DB
    """Signal-to-noise ratio of the sound in decibels."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames times the noise."""
        noise = draws.random("video").standard_normal(clip.video.shape)
        return np.asarray(clip.video * (1.0 + at(self.sigma, severity) * noise))

    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The waveform with noise that is as loud as itself at every moment."""
        noise = clip.waveform * draws.random("sound").standard_normal(len(clip.waveform))
        return mixed(clip.waveform, noise, snr_db=at(self.snr_db, severity))


class Compression(Corruption):
    """A starved codec: JPEG of few bits, and a low pass over the sound. It draws nothing."""

    name: Literal["compression"] = "compression"
    group: ClassVar[Group] = "digital"
    quality: Levels = JPEG_QUALITY
    """JPEG quality of the frames, 1 to 100."""
    cutoff_hz: Levels = LOW_PASS_HZ
    """Frequency at which a Butterworth filter takes 3 dB off the sound; it may be at half the sample rate or above."""
    order: int = LOW_PASS_ORDER
    """Order of that filter: 6 dB per octave each."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames encoded and decoded."""
        pictures = np.ascontiguousarray((clip.video.transpose(0, 2, 3, 1) * 255.0).round().astype(np.uint8))
        quality = round(at(self.quality, severity))
        decoded = [simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(picture, quality=quality)) for picture in pictures]
        return np.stack(decoded).transpose(0, 3, 1, 2) / 255.0

    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The waveform through the filter, without the delay that a running filter has: a codec leaves none."""
        bins = fft.rfft(clip.waveform.astype(np.float64))
        hz = fft.rfftfreq(len(clip.waveform), 1.0 / clip.sample_rate_hz)
        gain = 1.0 / np.sqrt(1.0 + (hz / at(self.cutoff_hz, severity)) ** (2 * self.order))
        return np.asarray(fft.irfft(bins * gain, len(clip.waveform)))
