from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from evaluation.corruptions.kinds.listing import CORRUPTIONS
from evaluation.corruptions.materials.draws import Draws
from evaluation.corruptions.materials.mixing import level
from evaluation.corruptions.materials.recordings import Recordings, decoded
from preprocessing.errors import PlaceError
from tests.evaluation.corruptions.conftest import made_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tone of 1 kHz as the recording of rain: 0.5 s of stereo at 44.1 kHz."""
    (tmp_path / "rain").mkdir()
    tone = 0.3 * np.sin(2.0 * np.pi * 1000.0 * np.arange(22_050) / 44_100)
    wavfile.write(tmp_path / "rain" / "tone.wav", 44_100, (32767 * np.stack([tone, tone], 1)).astype(np.int16))
    (tmp_path / "rain" / ".hidden").write_text("no sound")
    return tmp_path


def test_a_recording_is_brought_to_mono_and_the_clips_rate(folder: Path) -> None:
    wave = decoded(folder / "rain" / "tone.wav", 16_000)
    assert len(wave) == pytest.approx(8_000, abs=64)
    assert np.abs(np.fft.rfft(wave)).argmax() * 16_000 / len(wave) == pytest.approx(1000.0, abs=10.0)
    assert level(wave) == pytest.approx(0.3 / np.sqrt(2.0), rel=0.02)


def test_a_recording_takes_the_place_of_the_synthesised_noise_at_the_same_ratio(folder: Path) -> None:
    """The tone is shorter than the clip, and goes on from its beginning."""
    clip = made_clip(16, 16)
    found = CORRUPTIONS["rain"](clip, 3, seed=0, recordings=Recordings(str(folder)))
    synthesised = CORRUPTIONS["rain"](clip, 3, seed=0)
    noise = found.waveform.astype(np.float64) - clip.waveform
    assert 20.0 * np.log10(level(clip.waveform) / level(noise)) == pytest.approx(10.0, abs=0.1)
    assert np.abs(np.fft.rfft(noise)).argmax() == pytest.approx(1000, abs=3)
    assert np.array_equal(found.video, synthesised.video)


def test_the_stretch_belongs_to_the_clip(folder: Path) -> None:
    recordings = Recordings(str(folder))
    first = recordings.noise(Draws(0, "rain", "clip"), 20_001, 16_000)
    assert first.shape == (20_001,)
    assert np.array_equal(first, recordings.noise(Draws(0, "rain", "clip"), 20_001, 16_000))
    assert not np.array_equal(first, recordings.noise(Draws(0, "rain", "another"), 20_001, 16_000))


def test_corruptions_without_a_recording_are_all_named(folder: Path) -> None:
    with pytest.raises(PlaceError, match="has no recording for snow, wind: put sound files into a folder of that name"):
        Recordings(str(folder)).require(("snow", "rain", "wind"))
    Recordings(str(folder)).require(("rain",))


def test_what_cannot_be_decoded_or_heard_is_named(folder: Path) -> None:
    (folder / "wind").mkdir()
    (folder / "wind" / "text.wav").write_text("no sound")
    with pytest.raises(PlaceError, match=r"'.*wind/text\.wav' is no recording that can be decoded"):
        Recordings(str(folder)).require(("wind",))
    (folder / "snow").mkdir()
    wavfile.write(folder / "snow" / "quiet.wav", 16_000, np.zeros(1000, np.int16))
    with pytest.raises(PlaceError, match=r"quiet\.wav' is silent"):
        Recordings(str(folder)).require(("snow",))


def test_the_hash_names_the_recordings(folder: Path) -> None:
    recordings = Recordings(str(folder))
    before = recordings.sha256(("rain",))
    assert before == recordings.sha256(("rain",))
    (folder / "rain" / "another.wav").write_bytes(b"0")
    assert recordings.sha256(("rain",)) != before
