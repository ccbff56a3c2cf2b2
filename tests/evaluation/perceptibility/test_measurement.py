from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.measurement import measure_rows, measures_of
from evaluation.perceptibility.measures import log_spectral_distance_db, structural_similarity
from evaluation.perceptibility.rows import Rows
from evaluation.perceptibility.storages import storages_of
from evaluation.perceptibility.subject import Subject, load_subject
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates
from evaluation.tasks.measurement import predict
from preprocessing.logmel import LogMel

CONFIG = {"output": "out", "jpeg_qualities": (75,), "aac_kbps": (64,), "enlarge": 2}


def rows_of(evaluation: Path, *, batch_size: int = 4) -> tuple[Subject, Rows]:
    config = PerceptibilityConfig.model_validate(CONFIG | {"evaluation": str(evaluation)})
    subject = load_subject(config)
    storages = storages_of(config, subject.stored.index.format, subject.threat.audio_domain)
    return subject, measure_rows(subject, storages, device="cpu", batch_size=batch_size)


@pytest.mark.parametrize("domain", ["logmel", "waveform"])
def test_classes_and_ratios_are_those_of_the_certificates(domain: str, request: pytest.FixtureRequest) -> None:
    evaluation: Path = request.getfixturevalue(f"{domain}_evaluation")
    subject, rows = rows_of(evaluation)
    certificates = Certificates.read(evaluation / CERTIFICATES_NAME)
    for attack in ("fgsm", "pgd-4"):
        known = {row["key"]: row for row in certificates.select(attack, str(subject.threat)).table.to_pylist()}
        for row in rows.under(attack).records():
            stated = known[row["key"]]
            for name in ("label", "clean_prediction", "perturbed_prediction"):
                assert row[name] == stated[name]
            assert row["psnr_video_db"] == pytest.approx(stated["psnr_video_db"], rel=1e-5)
            wanted = pytest.approx(stated["snr_audio_db"], rel=1e-5) if domain == "waveform" else None
            assert row["snr_audio_db"] == wanted
            assert 0 < row["ssim_video"] < 1
            assert row["lsd_audio_db"] > 0


def test_stored_clips_are_classified_as_they_were_stored(waveform_evaluation: Path) -> None:
    """One clip by hand: each storage, then the model; and every size of batch gives the same rows."""
    subject, rows = rows_of(waveform_evaluation)
    assert rows.table.equals(rows_of(waveform_evaluation, batch_size=3)[1].table)
    row = rows.under("pgd-4").records()[2]
    stored = next(each for each in subject.perturbations["pgd-4"] if each["key"] == row["key"])
    clean = subject.clean([row["key"]])
    perturbed = subject.perturbed([stored], clean)
    config = PerceptibilityConfig.model_validate(CONFIG | {"evaluation": "any"})
    for storage in storages_of(config, subject.stored.index.format, "waveform"):
        for clip, column in ((perturbed, "stored_predictions"), (clean, "clean_stored_predictions")):
            assert row[column][storage.name] == predict(subject.victim.model, storage.stored(clip)).item()
    names = ["frames_8_bit", "jpeg_75", "h264", "h264_own_size", "sound_16_bit", "aac_64", "lossless", "platform"]
    assert sorted(row["stored_predictions"]) == sorted(names)


def test_what_did_not_change_has_no_measure(waveform_evaluation: Path) -> None:
    """The first clip's frames and the second clip's sound are left alone; log-mel patches come from the waveform."""
    subject = load_subject(PerceptibilityConfig.model_validate(CONFIG | {"evaluation": str(waveform_evaluation)}))
    clean, clip_format = subject.clean(subject.keys[:2]), subject.stored.index.format
    video, audio = clean.video.clone(), clean.audio.clone()
    video[1] = (video[1] + 0.1).clamp(0, 1)
    audio[0] = (audio[0] + 0.01 * torch.ones(1)).clamp(-1, 1)
    first, second = measures_of(clean.with_streams(video, audio), clean, clip_format)
    patches = LogMel(clip_format)
    [distance, _] = log_spectral_distance_db(patches(audio), patches(clean.audio))
    assert first["ssim_video"] is first["psnr_video_db"] is None
    assert first["lsd_audio_db"] == pytest.approx(distance, rel=1e-4)
    assert second["ssim_video"] == pytest.approx(structural_similarity(video, clean.video)[1], rel=1e-9)
    assert second["lsd_audio_db"] is second["snr_audio_db"] is None
    assert None not in (second["psnr_video_db"], first["snr_audio_db"])
