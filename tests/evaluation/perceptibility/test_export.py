"""The files of chosen clips, decoded again and held against the clips."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.export import CLIPS_FOLDER, chosen_clips, chosen_rows, export
from evaluation.perceptibility.movies import as_16_bit, decode_frames, decode_samples, reduced
from evaluation.perceptibility.report import PerceptibilityReport
from evaluation.perceptibility.resynthesis import resynthesised
from evaluation.perceptibility.rows import ROWS_NAME, Rows
from evaluation.perceptibility.storages import levels_of
from evaluation.perceptibility.subject import Subject, load_subject
from preprocessing.storage.stored_sample import decode_flac, read_sample
from tests.evaluation.perceptibility.hand_made import ROWS, row
from training.batch import Batch

MOVIES = {f"{which}_{coding}.mp4" for which in ("original", "adversarial") for coding in ("lossless", "platform")}


def subject_of(look: Path) -> Subject:
    return load_subject(PerceptibilityReport.read(look).config)


def clip_of(subject: Subject, look: Path) -> tuple[Batch, Batch]:
    """The first exported clip, untouched and under its attack."""
    exported = PerceptibilityReport.read(look).facts.exports[0]
    stored = next(each for each in subject.perturbations[exported.attack] if each["key"] == exported.key)
    clean = subject.clean([exported.key])
    return clean, subject.perturbed([stored], clean)


def test_chosen_clips_reach_from_the_most_to_the_least_visible() -> None:
    """pgd fools 0, 2 and 1 with similarities 0.5, 0.6 and 0.7; clips that it does not fool come last."""
    assert chosen_rows(ROWS, 1) == [("pgd", "clip_0")]
    assert chosen_rows(ROWS, 2) == [("pgd", "clip_0"), ("pgd", "clip_1")]
    assert chosen_rows(ROWS, 4) == [("pgd", f"clip_{number}") for number in (0, 2, 1, 3)]
    assert len(chosen_rows(ROWS, 99)) == 5


def test_clips_that_look_the_same_are_told_apart_by_their_sound() -> None:
    rows = [row(number, wrong="perturbed", ssim_video=None, lsd_audio_db=float(number)) for number in range(3)]
    assert [key for _, key in chosen_rows(Rows.from_rows(rows), 3)] == ["clip_2", "clip_1", "clip_0"]


@pytest.mark.parametrize("domain", ["logmel", "waveform"])
def test_a_lossless_movie_is_the_clip_in_8_bit(domain: str, request: pytest.FixtureRequest) -> None:
    look: Path = request.getfixturevalue(f"{domain}_look")
    subject = subject_of(look)
    for batch, name in zip(clip_of(subject, look), ("original", "adversarial"), strict=True):
        movie = (look / CLIPS_FOLDER / "1" / f"{name}_lossless.mp4").read_bytes()
        frames = decode_frames(movie, 224, 224)
        assert (reduced(frames, 7) == levels_of(batch.video[0].numpy())).all()
        assert (frames[:, :7, :7] == frames[:, :1, :1]).all()


def test_sound_of_a_waveform_threat_is_exported_in_16_bit(waveform_look: Path) -> None:
    clips = clip_of(subject_of(waveform_look), waveform_look)
    folder = waveform_look / CLIPS_FOLDER / "1"
    assert {file.name for file in folder.iterdir()} == MOVIES | {"original.flac", "adversarial.flac"}
    for batch, name in zip(clips, ("original", "adversarial"), strict=True):
        wanted = as_16_bit(batch.audio.reshape(-1).numpy())
        assert (decode_flac((folder / f"{name}.flac").read_bytes(), max_samples=1 << 20)[1] == wanted).all()
        movie = decode_samples((folder / f"{name}_lossless.mp4").read_bytes(), len(wanted))
        assert (as_16_bit(movie) == wanted).all()
        platform = decode_samples((folder / f"{name}_platform.mp4").read_bytes(), len(wanted))
        assert np.corrcoef(platform, wanted)[0, 1] > 0.98


def test_a_logmel_threat_has_the_stored_sound_and_resynthesised_ones(logmel_look: Path) -> None:
    subject = subject_of(logmel_look)
    folder = logmel_look / CLIPS_FOLDER / "1"
    sounds = {"original.flac", "original_resynthesised.flac", "adversarial_resynthesised.flac"}
    assert {file.name for file in folder.iterdir()} == MOVIES | sounds
    key = PerceptibilityReport.read(logmel_look).facts.exports[0].key
    shard, clip = subject.stored.clips[subject.positions[key]]
    sample = read_sample(subject.stored.store, shard, clip, subject.stored.index.format)
    assert (decode_flac((folder / "original.flac").read_bytes(), max_samples=1 << 20)[1] == sample.waveform()).all()
    for batch, name in zip(clip_of(subject, logmel_look), ("original", "adversarial"), strict=True):
        wanted = as_16_bit(resynthesised(batch.audio[0], subject.stored.index.format).numpy())
        assert (
            decode_flac((folder / f"{name}_resynthesised.flac").read_bytes(), max_samples=1 << 20)[1] == wanted
        ).all()


def test_files_are_named_with_their_hashes_and_older_ones_are_gone(waveform_look: Path, tmp_path: Path) -> None:
    report = PerceptibilityReport.read(waveform_look)
    subject = subject_of(waveform_look)
    (tmp_path / CLIPS_FOLDER / "7").mkdir(parents=True)
    config = PerceptibilityConfig(evaluation="any", output=str(tmp_path), enlarge=1)
    chosen = list(chosen_clips(subject, Rows.read(waveform_look / ROWS_NAME), 1))
    [exported] = export(chosen, tmp_path, config, subject.stored.index.format)
    files = {str(file.relative_to(tmp_path)): file for file in tmp_path.rglob("*") if file.is_file()}
    assert files.keys() == exported.files.keys() == report.facts.exports[0].files.keys()
    assert {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()} == exported.files
    assert (exported.key, exported.mistaken_for) == (report.facts.exports[0].key, report.facts.exports[0].mistaken_for)
    assert decode_frames(files["clips/1/original_lossless.mp4"].read_bytes(), 32, 32).shape == (4, 32, 32, 3)
    assert [each.name for each in (tmp_path / CLIPS_FOLDER).iterdir()] == ["1"]


def test_the_page_shows_the_clip_that_is_exported(waveform_look: Path) -> None:
    subject = subject_of(waveform_look)
    [chosen] = chosen_clips(subject, Rows.read(waveform_look / ROWS_NAME), 1)
    clean, perturbed = clip_of(subject, waveform_look)
    assert np.array_equal(chosen.example.clean_video, clean.video[0].numpy())
    assert np.array_equal(chosen.example.perturbed_video, perturbed.video[0].numpy())
    form = subject.stored.index.format
    assert chosen.example.perturbed_audio.shape == (form.num_segments, form.num_mels, form.steps)
    assert torch.equal(chosen.perturbed.audio, perturbed.audio)
    assert chosen.example.class_name in subject.report.class_names
