"""Synthesised noises of weather, water, fire and people: filtered noise, and many small events at random times.

Nothing here is recorded, and nothing is true to one place: each has the spectrum and the rhythm by which its cause is
recognised. Levels mean nothing, since `mixing` sets them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import fft, signal

from evaluation.corruptions.materials.mixing import Wave, level

Spectrum = Callable[[Float[np.ndarray, " bins"]], Float[np.ndarray, " bins"]]
"""Amplitude by frequency in Hz."""
Ping = Float[np.ndarray, " ping"]

NUM_PITCHES = 6
"""Different pitches of small events: more are not told apart."""


def rain(random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
    """A broad hiss with the clicks of near drops."""
    hiss = shaped_noise(random, num_samples, rate_hz, lambda hz: _band(hz, 500.0, 7000.0))
    drops = events(random, num_samples, rate_hz, per_second=40.0, pitches_hz=(1500.0, 5000.0), decay_seconds=0.004)
    return together((hiss, 1.0), (drops, 0.5))


def snow(random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
    """A soft wind, and the crunch of steps twice a second: bursts of high noise."""
    air = shaped_noise(random, num_samples, rate_hz, lambda hz: _band(hz, 150.0, 900.0))
    crunch = shaped_noise(random, num_samples, rate_hz, lambda hz: _band(hz, 1200.0, 6000.0))
    phase = random.uniform(0.0, 1.0)
    steps = np.maximum(0.0, np.sin(2.0 * np.pi * (2.0 * _seconds(num_samples, rate_hz) + phase))) ** 4
    return together((air, 1.0), (crunch * steps, 0.8))


def ice(random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
    """Cracks and tinkling of ice over a faint wind."""
    air = shaped_noise(random, num_samples, rate_hz, lambda hz: _band(hz, 200.0, 1500.0))
    cracks = events(random, num_samples, rate_hz, per_second=12.0, pitches_hz=(2500.0, 7000.0), decay_seconds=0.012)
    groans = events(random, num_samples, rate_hz, per_second=1.5, pitches_hz=(300.0, 900.0), decay_seconds=0.12)
    return together((air, 0.5), (cracks, 1.0), (groans, 0.6))


def drops(random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
    """Single drops of water: short tones that rise as their bubbles close, and a little splash."""
    tones = events(
        random, num_samples, rate_hz, per_second=9.0, pitches_hz=(600.0, 2400.0), decay_seconds=0.03, rise=1.2
    )
    splash = shaped_noise(random, num_samples, rate_hz, lambda hz: _band(hz, 800.0, 6000.0))
    return together((tones, 1.0), (splash, 0.25))


def wind(random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
    """A deep rumble with a howl above it that comes and goes."""
    rumble = shaped_noise(random, num_samples, rate_hz, lambda hz: 1.0 / (1.0 + (hz / 120.0) ** 2))
    howl = shaped_noise(random, num_samples, rate_hz, lambda hz: _band(hz, 350.0, 900.0))
    swell = 1.0 + slow_noise(random, num_samples, rate_hz, hertz=0.7)
    return together((rumble, 1.0), (howl * swell.clip(min=0.0), 0.6))


def underwater(random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
    """A dull roar below 300 Hz, and rising bubbles."""
    roar = shaped_noise(random, num_samples, rate_hz, lambda hz: 1.0 / (1.0 + (hz / 180.0) ** 3))
    bubbles = events(
        random, num_samples, rate_hz, per_second=10.0, pitches_hz=(250.0, 900.0), decay_seconds=0.05, rise=0.7
    )
    return together((roar, 1.0), (bubbles, 0.6))


def concert(random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
    """A band: a beat, a bass and chords of rich tones, with an audience that murmurs."""
    seconds = _seconds(num_samples, rate_hz)
    beats = seconds * random.uniform(1.6, 2.2)
    since = np.mod(beats, 1.0)
    kick = np.sin(2.0 * np.pi * 60.0 * seconds) * np.exp(-8.0 * since)
    hat = shaped_noise(random, num_samples, rate_hz, lambda hz: _band(hz, 4000.0, 8000.0))
    root_hz = 110.0 * 2.0 ** (random.integers(12) / 12.0)
    steps = np.array([0, 5, 7, 3])[np.floor(beats / 4.0).astype(int) % 4]
    pitch_hz = root_hz * 2.0 ** (steps / 12.0)
    chord = np.sum([sawtooth(pitch_hz * ratio, rate_hz) for ratio in (0.5, 1.0, 1.25, 1.5)], axis=0)
    audience = shaped_noise(random, num_samples, rate_hz, speech_spectrum)
    return together((kick, 1.0), (hat * np.exp(-12.0 * np.mod(2.0 * beats, 1.0)), 0.4), (chord, 0.9), (audience, 0.4))


def fire(random: np.random.Generator, num_samples: int, rate_hz: int) -> Wave:
    """A fire that roars and crackles, and a siren that rises and falls."""
    roar = shaped_noise(random, num_samples, rate_hz, lambda hz: 1.0 / (1.0 + (hz / 250.0) ** 1.5))
    crackle = events(random, num_samples, rate_hz, per_second=25.0, pitches_hz=(1000.0, 6000.0), decay_seconds=0.003)
    seconds = _seconds(num_samples, rate_hz)
    sweep = 0.5 + 0.5 * np.sin(2.0 * np.pi * (random.uniform(0.25, 0.5) * seconds + random.uniform()))
    siren = np.sin(2.0 * np.pi * np.cumsum(600.0 + 700.0 * sweep) / rate_hz)
    return together((roar, 1.0), (crackle, 0.8), (siren, 0.7))


def babble(random: np.random.Generator, num_samples: int, rate_hz: int, *, num_voices: int = 8) -> Wave:
    """Many voices at once: buzzing tones and breath with the long-term spectrum of speech, in syllables."""
    voices = np.zeros(num_samples)
    for _ in range(num_voices):
        pitch_hz = random.uniform(90.0, 230.0) * 2.0 ** (0.2 * slow_noise(random, num_samples, rate_hz, hertz=2.0))
        pulses = np.diff(sawtooth(pitch_hz, rate_hz), prepend=0.0)  # all harmonics alike, before they are filtered
        voiced = together((pulses, 1.0), (random.standard_normal(num_samples), 0.3))
        syllables = slow_noise(random, num_samples, rate_hz, hertz=4.0).clip(min=0.0)
        voices += syllables * filtered(voiced, rate_hz, speech_spectrum)
    return voices


def shaped_noise(random: np.random.Generator, num_samples: int, rate_hz: int, spectrum: Spectrum) -> Wave:
    """White noise brought to a spectrum, at level 1."""
    return filtered(random.standard_normal(num_samples), rate_hz, spectrum)


def filtered(wave: Wave, rate_hz: int, spectrum: Spectrum) -> Wave:
    """A wave whose spectrum is multiplied by another, at level 1."""
    bins = fft.rfft(wave) * spectrum(fft.rfftfreq(len(wave), 1.0 / rate_hz))
    return together((fft.irfft(bins, len(wave)), 1.0))


def slow_noise(random: np.random.Generator, num_samples: int, rate_hz: int, *, hertz: float) -> Wave:
    """A smooth random curve of mean 0 and standard deviation 1 with little above `hertz`, or one wave where that is
    longer than the curve."""
    highest = max(hertz, rate_hz / num_samples)
    return shaped_noise(
        random, num_samples, rate_hz, lambda hz: np.where(hz > 0.0, np.exp(-((hz / highest) ** 2)), 0.0)
    )


def events(
    random: np.random.Generator,
    num_samples: int,
    rate_hz: int,
    *,
    per_second: float,
    pitches_hz: tuple[float, float],
    decay_seconds: float,
    rise: float = 0.0,
) -> Wave:
    """Short tones that die away, at random times and strengths; `rise` is by how much of its pitch each rises."""
    wave = np.zeros(num_samples)
    number = max(NUM_PITCHES, round(per_second * num_samples / rate_hz))
    starts = random.integers(num_samples, size=number)
    strengths = random.exponential(1.0, number)
    seconds = np.arange(max(2, round(6.0 * decay_seconds * rate_hz))) / rate_hz
    for index, pitch_hz in enumerate(np.geomspace(*pitches_hz, NUM_PITCHES)):
        impulses = np.zeros(num_samples)
        np.add.at(impulses, starts[index::NUM_PITCHES], strengths[index::NUM_PITCHES])
        turns = pitch_hz * (seconds + 0.5 * rise * seconds**2 / (6.0 * decay_seconds))
        ping: Ping = np.sin(2.0 * np.pi * turns) * np.exp(-seconds / decay_seconds)
        wave += signal.fftconvolve(impulses, ping)[:num_samples]
    return wave


def sawtooth(pitch_hz: Wave, rate_hz: int) -> Wave:
    """A buzzing tone that follows a pitch."""
    return np.asarray(2.0 * np.mod(np.cumsum(pitch_hz) / rate_hz, 1.0) - 1.0)


def speech_spectrum(hz: Float[np.ndarray, " bins"]) -> Float[np.ndarray, " bins"]:
    """The long-term average of speech, roughly: level up to 500 Hz, then 9 dB less per octave (Byrne et al. 1994)."""
    return np.where(hz < 80.0, 0.0, (1.0 + (hz / 500.0) ** 2) ** -0.75)


def together(*parts: tuple[Wave, float]) -> Wave:
    """Waves brought to level 1 and added with weights; a silent one adds nothing."""
    return np.asarray(sum(weight * wave / max(level(wave), 1e-12) for wave, weight in parts))


def _band(hz: Float[np.ndarray, " bins"], low: float, high: float) -> Float[np.ndarray, " bins"]:
    """A soft band between two frequencies."""
    return np.asarray(1.0 / (1.0 + (low / np.maximum(hz, 1.0)) ** 4) / (1.0 + (hz / high) ** 4))


def _seconds(num_samples: int, rate_hz: int) -> Wave:
    return np.asarray(np.arange(num_samples) / rate_hz)
