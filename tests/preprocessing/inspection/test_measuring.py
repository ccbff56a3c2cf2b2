from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preprocessing.decoding.child import encode_flac, encode_jpeg
from preprocessing.inspection.measuring import Measures, frame_age_seconds, level_dbfs, measure, measure_all
from preprocessing.inspection.stored import StoredDataset, find_dataset
from preprocessing.storage.sample_builder import npy
from preprocessing.storage.stored_sample import SampleError


def test_the_level_of_a_full_scale_sine_is_minus_three() -> None:
    """10 log10(1/2) = -3.01 dBFS; a tenth of the amplitude is 20 dB less."""
    sine = 32767 * np.sin(2 * np.pi * np.arange(16_000) / 16)
    assert level_dbfs(sine.astype(np.int16)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs((sine / 10).astype(np.int16)) == pytest.approx(-23.01, abs=0.01)


def test_digital_silence_has_the_lowest_level() -> None:
    assert level_dbfs(np.zeros(100, np.int16)) == -100.0
    assert level_dbfs(np.ones(100, np.int16)) == pytest.approx(-90.31, abs=0.01)


def test_the_age_of_a_frame_is_the_time_to_its_segments_middle(
    clip: Callable[..., Measures], tiny: StoredDataset
) -> None:
    """Middles 0.25, 0.75, 1.25, 1.75; frames shown at 0.2, 0.7, 0.9, 1.7: the third is 0.35 s old."""
    record = clip().record.model_copy(update={"frame_seconds": (0.2, 0.7, 0.9, 1.7)})
    assert frame_age_seconds(record, tiny.format) == pytest.approx(0.35)
    later = record.model_copy(update={"start_seconds": 0.5})
    assert frame_age_seconds(later, tiny.format) == pytest.approx(0.85)


def test_every_stored_clip_moves_sounds_and_is_covered(tiny: StoredDataset) -> None:
    """The squares move over noise; a tone of amplitude 0.1 to 0.4 has -23 to -11 dBFS."""
    measured = measure_all(tiny, list(tiny.clips))
    assert (len(measured.clips), measured.unreadable, measured.num_read) == (40, (), 40)
    for each in measured.clips:
        assert each.record.key == each.stored.sample.key
        assert -24 < each.level_dbfs < -9
        assert each.coverages["audio"] > 0.95
        assert each.motion_levels > 5
        assert each.contrast_levels > 10
        assert 0 <= each.frame_age_seconds <= 0.1


def test_a_damaged_clip_is_told_and_stops_nothing(tiny_dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_dataset, tmp_path / "shards")
    found = find_dataset(str(copy))
    first, second, *_ = found.clips
    with (copy / first.shard).open("r+b") as file:
        file.seek(first.sample.offset)
        file.write(b"?" * 1024)
    measured = measure_all(found, [first, second])
    assert [each.stored for each in measured.unreadable] == [first]
    assert first.sample.key in measured.unreadable[0].detail
    assert [each.stored for each in measured.clips] == [second]


def test_frames_of_two_sizes_are_no_sample(tiny: StoredDataset) -> None:
    clip = next(tiny.clips)
    sample = tiny.read(clip)
    large = encode_jpeg(np.zeros((64, 64, 3), np.uint8), 95)
    mixed = replace(sample, members={**sample.members, "frame_03.jpg": large})
    with pytest.raises(SampleError, match=r"frame 3: is \(64, 64, 3\), dataset.json says \(32, 32, 3\)"):
        measure(clip, mixed)


def test_one_segment_has_no_motion_to_measure(tiny: StoredDataset) -> None:
    clip = next(tiny.clips)
    sample = tiny.read(clip)
    record = sample.record().model_copy(update={"frame_seconds": (0.25,)})
    audio = encode_flac(sample.waveform()[:8000], 16_000)
    changed = {"json": record.model_dump_json().encode(), "audio.flac": audio, "logmel.npy": npy(sample.logmel()[:1])}
    clip_format = tiny.format.model_copy(update={"num_segments": 1})
    single = replace(sample, members={**sample.members, **changed}, clip_format=clip_format)
    assert measure(clip, single).motion_levels == 0.0


def test_a_long_measurement_says_how_far_it_is(
    tiny: StoredDataset, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preprocessing.reporting.progress.SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO):
        measure_all(tiny, list(tiny.clips)[:5])
    assert caplog.messages[-1].startswith("measured 5/5 clips, ")
    assert caplog.messages[-1].endswith(" clips/s, 0 s left")
