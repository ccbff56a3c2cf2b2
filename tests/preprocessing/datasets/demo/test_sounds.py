from __future__ import annotations

import numpy as np
import pytest

from preprocessing.datasets.demo.sounds import SAMPLE_RATE_HZ, SOUNDS, Note, Voice, Wave, compose, render_sound

NOTES = (Note(0.5, 1.0, 220.0, 1.0), Note(1.5, 0.5, 330.0, 0.8))
NUM_SAMPLES = 2 * SAMPLE_RATE_HZ


def level(wave: Wave, start_seconds: float, end_seconds: float) -> float:
    part = wave[round(start_seconds * SAMPLE_RATE_HZ) : round(end_seconds * SAMPLE_RATE_HZ)]
    return float(np.sqrt(np.mean(part**2)))


def play(sound: str, seed: int = 0) -> Wave:
    return SOUNDS[sound](np.random.default_rng(seed), NOTES, NUM_SAMPLES)


@pytest.mark.parametrize("seed", range(5))
def test_a_melody_fills_the_clip_in_order(seed: int) -> None:
    notes = compose(np.random.default_rng(seed), clip_seconds=4.0, lean=0.0)
    ends = [note.onset_seconds + note.seconds for note in notes]
    assert [note.onset_seconds for note in notes[1:]] == pytest.approx(ends[:-1])
    assert notes[0].onset_seconds < 0.2
    assert 3.8 < ends[-1] <= 4.0
    assert all(0.0 < note.velocity <= 1.0 and 100.0 < note.pitch_hz < 1000.0 for note in notes)


def test_lean_moves_the_register() -> None:
    """Two semitones per unit: one unit up multiplies every pitch by 2^(2/12)."""
    plain, high = (compose(np.random.default_rng(1), clip_seconds=4.0, lean=lean) for lean in (0.0, 1.0))
    assert high[0].pitch_hz / plain[0].pitch_hz == pytest.approx(2.0 ** (2.0 / 12.0))


@pytest.mark.parametrize("sound", sorted(SOUNDS))
def test_every_sound_is_the_same_for_the_same_seed(sound: str) -> None:
    assert np.array_equal(play(sound, seed=3), play(sound, seed=3))


@pytest.mark.parametrize("sound", sorted(set(SOUNDS) - {"reedy"}))
def test_every_sound_but_the_drone_is_silent_before_its_first_note(sound: str) -> None:
    assert level(play(sound), 0.0, 0.49) == 0.0
    assert level(play(sound), 0.5, 0.7) > 0.01


def test_plucked_notes_die_away_and_sustained_ones_hold() -> None:
    plucked, sustained = play("plucked"), play("sustained")
    assert level(plucked, 1.3, 1.45) < 0.3 * level(plucked, 0.52, 0.67)
    assert level(sustained, 1.3, 1.45) == pytest.approx(level(sustained, 0.55, 0.7), rel=0.2)


def test_the_reedy_drone_never_stops() -> None:
    assert level(play("reedy"), 0.0, 0.4) > 0.1 * level(play("reedy"), 0.6, 1.0)


def test_the_sung_line_wavers_in_pitch_and_the_sustained_chord_does_not() -> None:
    """Around 220 Hz the vibrato of 0.4 to 0.8 semitones is 5 to 10 Hz each way; seen in windows of 64 ms."""

    def spread_of_pitch_hz(wave: Wave) -> float:
        windows = wave[round(0.7 * SAMPLE_RATE_HZ) :][: 10 * 1024].reshape(10, 1024) * np.hanning(1024)
        spectra = np.abs(np.fft.rfft(windows, SAMPLE_RATE_HZ))  # one bin per hertz
        return float(np.ptp(spectra[:, 190:250].argmax(axis=1)))

    assert spread_of_pitch_hz(play("sung")) > 5.0
    assert spread_of_pitch_hz(play("sustained")) <= 2.0


def test_noise_level_is_relative_to_the_music() -> None:
    """At -60 dB the pause before the first note is quiet; at 0 dB it is as loud as the music."""
    quiet, noisy = (
        render_sound(np.random.default_rng(0), NOTES, [Voice("sustained", 1.0)], clip_seconds=2.0, noise_db=noise_db)
        for noise_db in (-60.0, 0.0)
    )
    assert level(quiet, 0.0, 0.4) < 0.01 * level(quiet, 0.6, 1.0)
    assert level(noisy, 0.0, 0.4) > 0.3 * level(noisy, 0.6, 1.0)


def test_a_rendered_sound_stays_below_full_scale() -> None:
    voices = [Voice(sound, 1.0) for sound in SOUNDS]
    wave = render_sound(np.random.default_rng(0), NOTES, voices, clip_seconds=2.0, noise_db=-10.0)
    assert wave.dtype == np.float32
    assert wave.shape == (NUM_SAMPLES,)
    assert 0.05 < np.abs(wave).max() < 1.0
