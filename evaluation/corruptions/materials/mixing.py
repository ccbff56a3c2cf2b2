"""Noise mixed into a waveform at a signal-to-noise ratio."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

QUIETEST = 1e-3
"""Root mean square, in units of full scale, of the quietest sound that a ratio is about: -60 dB. A quieter one, or
silence, gets the noise that this one would."""

Wave = Float[np.ndarray, " samples"]


def level(wave: Wave) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


def mixed(wave: Wave, noise: Wave, *, snr_db: int | float) -> Wave:
    """The wave with the noise added, 20 log10(level of the wave / level of the noise) = `snr_db` over the whole clip.

    What leaves [-1, 1] is cut off, as a microphone would; noise of level 0 leaves the wave as it is.
    """
    loudness = level(noise)
    if loudness == 0.0:
        return wave
    gain = max(level(wave), QUIETEST) / loudness * 10.0 ** (-snr_db / 20.0)
    return np.asarray((wave + gain * noise).clip(-1.0, 1.0))
