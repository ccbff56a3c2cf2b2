"""The sound of the demo's clips: four ways to play the same notes, in a noisy room, synthesised in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SAMPLE_RATE_HZ = 16_000
_HIGHEST_HZ = 7_600.0
"""Harmonics above this are left out: they would fold back below half the sample rate."""
_SCALE = (0, 2, 4, 7, 9, 12, 14, 16)
"""A major pentatonic scale in semitones: any sequence of its notes sounds like music."""

Wave = Float[np.ndarray, " samples"]


@dataclass(frozen=True)
class Note:
    """One note of the melody; picture and sound are both driven by it."""

    onset_seconds: float
    seconds: float
    pitch_hz: float
    velocity: float
    """Strength with which it is played, in (0, 1]."""


@dataclass(frozen=True)
class Voice:
    """One way of playing the notes, and how loud: 1 is the clip's nominal level."""

    sound: str
    """A key of `SOUNDS`."""
    level: float


def compose(generator: np.random.Generator, *, clip_seconds: float, lean: float) -> tuple[Note, ...]:
    """A random melody that fills the clip: random tempo, rhythm, key and register.

    `lean` says by how many standard deviations the register is off the middle: two semitones each.
    """
    beat = 60.0 / generator.uniform(80.0, 140.0)
    root_hz = 196.0 * 2.0 ** ((generator.uniform(-4.0, 4.0) + 2.0 * lean) / 12.0)
    onset, degree = generator.uniform(0.0, 0.2), int(generator.integers(len(_SCALE)))
    notes = []
    while onset < clip_seconds - 0.15:
        seconds = beat * float(generator.choice([0.5, 0.5, 1.0, 1.0, 1.5]))
        degree = int(np.clip(degree + generator.integers(-2, 3), 0, len(_SCALE) - 1))
        notes.append(
            Note(
                onset_seconds=onset,
                seconds=min(seconds, clip_seconds - onset),
                pitch_hz=root_hz * 2.0 ** (_SCALE[degree] / 12.0),
                velocity=generator.uniform(0.6, 1.0),
            )
        )
        onset += seconds
    return tuple(notes)


def render_sound(
    generator: np.random.Generator,
    notes: Sequence[Note],
    voices: Sequence[Voice],
    *,
    clip_seconds: float,
    noise_db: float,
) -> Wave:
    """The notes played by each voice, in a room with noise at `noise_db` relative to the nominal level.

    Returns mono float32 samples in (-1, 1) at `SAMPLE_RATE_HZ`.
    """
    num_samples = round(clip_seconds * SAMPLE_RATE_HZ)
    mix = np.zeros(num_samples)
    for voice in voices:
        played = SOUNDS[voice.sound](generator, notes, num_samples)
        mix += voice.level * _in_room(generator, _normalised(played))
    mix += 10.0 ** (noise_db / 20.0) * _room_noise(generator, num_samples)
    loudness = 10.0 ** (generator.uniform(-30.0, -18.0) / 20.0)
    limited: Wave = np.tanh(loudness * mix)
    return limited.astype(np.float32)


def plucked(generator: np.random.Generator, notes: Sequence[Note], num_samples: int) -> Wave:
    """Struck or plucked notes: a click, then harmonics that die away, the high ones first."""
    ring_seconds = generator.uniform(0.15, 0.4)
    slope = generator.uniform(0.8, 1.4)
    wave = np.zeros(num_samples)
    for note in notes:
        time = _note_time(note, num_samples, longest=1.0)
        tone = np.zeros_like(time)
        decay, damping = np.exp(-time / ring_seconds), np.exp(-0.3 * time / ring_seconds)
        for harmonic, wave_form in _harmonics(note.pitch_hz, 2.0 * np.pi * note.pitch_hz * time, most=12):
            tone += harmonic**-slope * decay * wave_form
            decay *= damping
        tone += 0.6 * np.exp(-time / 0.006) * generator.standard_normal(len(time))
        _add(wave, note, tone)
    return wave


def sustained(generator: np.random.Generator, notes: Sequence[Note], num_samples: int) -> Wave:
    """Organ-like chords: a few pure harmonics held at one level until the next note."""
    stops = {1: 1.0, 2: generator.uniform(0.4, 0.9), 3: 0.4, 4: generator.uniform(0.3, 0.6), 6: 0.2, 8: 0.2}
    chord = 2.0 ** (np.array([0, 4, 7]) / 12.0)
    wave = np.zeros(num_samples)
    for note in notes:
        time = _note_time(note, num_samples)
        tone = np.zeros_like(time)
        for pitch_hz in note.pitch_hz * chord:
            for harmonic, wave_form in _harmonics(pitch_hz, 2.0 * np.pi * pitch_hz * time, most=8):
                if harmonic in stops:
                    tone += stops[harmonic] * wave_form
        _add(wave, note, tone * _envelope(time, attack=0.02, release=0.05))
    return wave


def reedy(generator: np.random.Generator, notes: Sequence[Note], num_samples: int) -> Wave:
    """A buzzing drone under a buzzing melody: strong harmonics all the way up, with a fast tremble."""
    time = np.arange(num_samples) / SAMPLE_RATE_HZ
    tremble = 1.0 + 0.3 * np.sin(2.0 * np.pi * generator.uniform(9.0, 14.0) * time)
    drone_hz = notes[0].pitch_hz / 2.0
    wave: Wave = 0.5 * tremble * _buzz(drone_hz, time)
    for note in notes:
        time = _note_time(note, num_samples)
        accent = 1.0 + 1.5 * np.exp(-time / 0.05)
        _add(wave, note, accent * _buzz(note.pitch_hz, time) * _envelope(time, attack=0.01, release=0.03))
    return wave


def sung(generator: np.random.Generator, notes: Sequence[Note], num_samples: int) -> Wave:
    """A single voice-like line: wide vibrato, notes that swell, and the resonances of a vowel."""
    vibrato_hz = generator.uniform(4.5, 6.5)
    depth = generator.uniform(0.4, 0.8) / 12.0
    formants = generator.uniform([450.0, 1000.0, 2400.0], [850.0, 1800.0, 3000.0])
    wave = np.zeros(num_samples)
    for note in notes:
        time = _note_time(note, num_samples)
        glide = -0.15 * np.exp(-time / 0.05)
        pitch = note.pitch_hz * 2.0 ** (depth * np.sin(2.0 * np.pi * vibrato_hz * time) + glide)
        phase = 2.0 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
        tone = np.zeros_like(time)
        for harmonic, wave_form in _harmonics(note.pitch_hz, phase, most=18):
            distance = (harmonic * note.pitch_hz - formants) / 180.0
            tone += (0.08 + np.exp(-0.5 * distance**2).sum()) * harmonic**-0.5 * wave_form
        _add(wave, note, tone * _envelope(time, attack=0.07, release=0.06))
    return wave


Sound = Callable[[np.random.Generator, Sequence[Note], int], Wave]
SOUNDS: dict[str, Sound] = {"plucked": plucked, "sustained": sustained, "reedy": reedy, "sung": sung}


def _harmonics(pitch_hz: float, phase: Wave, *, most: int) -> Iterator[tuple[int, Wave]]:
    """Number k and wave sin(k phase) of each harmonic that fits below the highest frequency.

    By sin(k x) = 2 cos(x) sin((k - 1) x) - sin((k - 2) x): five times faster than a sine each.
    """
    before, wave, factor = np.zeros_like(phase), np.sin(phase), 2.0 * np.cos(phase)
    for harmonic in range(1, 1 + max(1, min(most, int(_HIGHEST_HZ / pitch_hz)))):
        yield harmonic, wave
        before, wave = wave, factor * wave - before


def _buzz(pitch_hz: float, time: Wave) -> Wave:
    """A tone with almost equally strong harmonics."""
    tone = np.zeros_like(time)
    for harmonic, wave_form in _harmonics(pitch_hz, 2.0 * np.pi * pitch_hz * time, most=24):
        tone += harmonic**-0.35 * wave_form
    return tone


def _note_time(note: Note, num_samples: int, longest: float = 0.0) -> Wave:
    """Seconds since the onset, for each sample that the note (or its `longest` ringing) lasts."""
    first = round(note.onset_seconds * SAMPLE_RATE_HZ)
    length = round(max(note.seconds, longest) * SAMPLE_RATE_HZ)
    return np.arange(max(1, min(length, num_samples - first))) / SAMPLE_RATE_HZ


def _add(wave: Wave, note: Note, tone: Float[np.ndarray, " tone"]) -> None:
    first = round(note.onset_seconds * SAMPLE_RATE_HZ)
    wave[first : first + len(tone)] += note.velocity * tone[: len(wave) - first]


def _envelope(time: Wave, *, attack: float, release: float) -> Wave:
    """Rise over `attack` seconds, hold, fall over the last `release` seconds."""
    envelope: Wave = np.minimum(1.0, np.minimum(time / attack, (time[-1] - time) / release))
    return envelope


def _normalised(wave: Wave) -> Wave:
    """The same sound at root mean square 1."""
    return wave / max(float(np.sqrt(np.mean(wave**2))), 1e-9)


def _in_room(generator: np.random.Generator, wave: Wave) -> Wave:
    """The sound with a short random reverberation."""
    seconds = generator.uniform(0.05, 0.2)
    time = np.arange(round(2.0 * seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = generator.uniform(0.02, 0.06) * np.exp(-3.0 * time / seconds) * generator.standard_normal(len(time))
    tail[0] = 1.0
    from scipy.signal import fftconvolve  # takes seconds, which reading settings is spared

    return fftconvolve(wave, tail)[: len(wave)]


def _room_noise(generator: np.random.Generator, num_samples: int) -> Wave:
    """Noise between white and brown, with a little mains hum, at root mean square 1."""
    spectrum = np.fft.rfft(generator.standard_normal(num_samples))
    frequency = np.arange(len(spectrum)) * SAMPLE_RATE_HZ / num_samples
    spectrum /= (frequency + 50.0) ** generator.uniform(0.1, 0.9)
    noise = _normalised(np.fft.irfft(spectrum, num_samples))
    time = np.arange(num_samples) / SAMPLE_RATE_HZ
    return noise + generator.uniform(0.0, 0.4) * np.sin(2.0 * np.pi * float(generator.choice([50.0, 100.0])) * time)
