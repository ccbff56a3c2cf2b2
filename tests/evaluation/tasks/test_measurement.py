from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from evaluation.config import EvaluateConfig
from evaluation.planning.plan import Measurement, listed, measurements_of, modality_threats, unbounded_threat
from evaluation.stored.certificates import Certificates
from evaluation.tasks.measurement import (
    measure_all,
)
from pipeline.settings.load import override
from preprocessing.schema import ClipFormat
from training.attacks import FGSM, PGD
from training.batch import Batch
from training.models import Classifier, ModelConfig
from training.models.classifier import predicted_classes
from training.threat import ThreatModel

Certify = Callable[..., Certificates]


def test_the_size_of_the_batches_changes_no_certificate(
    certify: Certify, model: Classifier, few_clips: Batch, config: EvaluateConfig
) -> None:
    """The last of 15 clips is alone in batches of 1 and of 7, and among all others in a batch of 15."""
    fewer = override(config, {"curve": (1.0,), "attacks": config.attacks[:2]})
    alone, few, all_at_once = (certify(model, few_clips, fewer, batch_size=size) for size in (1, 7, 15))
    for column in ("key", "attack", "threat", "clean_prediction", "perturbed_prediction"):
        assert alone.table[column].equals(few.table[column])
        assert alone.table[column].equals(all_at_once.table[column])


def test_measuring_again_gives_the_same_bits(
    certify: Certify, model: Classifier, clips: Batch, config: EvaluateConfig, certificates: Certificates
) -> None:
    assert certify(model, clips, config).table.equals(certificates.table)


def test_holding_fewer_clips_in_memory_changes_nothing(
    model: Classifier, few_clips: Batch, config: EvaluateConfig
) -> None:
    batches = [few_clips, few_clips]
    measurements = [Measurement(PGD(steps=2), config.threat), Measurement(FGSM(), config.threat)]
    one_by_one, together = (
        {
            piece.position: piece.certificates.table.to_pylist()
            for piece in measure_all(model, batches, measurements, seed=0, model_sha256="ab", held_bytes=held)
        }
        for held in (1, 2**30)
    )
    assert one_by_one == together
    assert len(together) == 4


def test_attacks_fool_more_clips_with_a_larger_budget(certificates: Certificates) -> None:
    shares = [
        certificates.select("pgd-5", threat).is_robust.mean()
        for threat in ("linf(video=0, audio=0)", "linf(video=7/255, audio=7/255)", "linf(video=28/255, audio=28/255)")
    ]
    assert shares[0] > 0.9
    assert shares[0] > shares[1] > shares[2]


def test_each_row_tells_how_far_the_clip_was_moved(certificates: Certificates) -> None:
    """One full step of 7/255 on most values: the largest change is 7/255, the PSNR near 20 log10(255 / 7) = 31.2 dB."""
    rows = certificates.select("fgsm", "linf(video=7/255, audio=7/255)")
    assert rows.numbers("distance_video") == pytest.approx(np.full(48, 7 / 255), rel=1e-5)
    assert (rows.numbers("distance_video") == rows.numbers("linf_video")).all()
    assert (rows.numbers("psnr_video_db") > 31.2).all()
    assert (rows.numbers("psnr_video_db") < 32.2).all()


def test_a_modality_without_a_budget_is_untouched(certificates: Certificates) -> None:
    rows = certificates.select("pgd-5", "linf(video=7/255, audio=0)")
    assert (rows.numbers("linf_audio") == 0).all()
    assert (rows.numbers("linf_video") > 0).all()


def test_a_clip_without_finite_scores_has_no_class() -> None:
    logits = torch.tensor([[0.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0]])
    assert predicted_classes(logits).tolist() == [1, -1, -1]


def test_every_measurement_is_run_once(clip_format: ClipFormat) -> None:
    config = EvaluateConfig(
        checkpoint="a", data="b", output="c", attacks=(PGD(steps=20), FGSM()), curve=(0.0, 0.5, 1.0)
    )
    found = [(one.label, str(one.threat), one.cost.backward) for one in measurements_of(config, clip_format)]
    video, audio = "linf(video=4/255, audio=0)", "linf(video=0, audio=4/255)"
    half, whole, none, free = (f"linf(video={each}, audio={each})" for each in ("2/255", "4/255", "0", "1"))
    joined = {"pgd-20": 20, "pgd-20 margin": 20, "square queries 25": 0}
    assert found == [
        *[("pgd-20", whole, 20), ("fgsm", whole, 1)],
        *((label, video, backward) for label, backward in joined.items()),
        *((label, audio, backward) for label, backward in joined.items()),
        ("pgd-20", none, 0),
        *((label, half, backward) for label, backward in joined.items()),
        *[("pgd-20", free, 20), ("noise", free, 0)],
    ]


def test_every_surrogate_is_attacked_under_the_threat(clip_format: ClipFormat) -> None:
    """After the list, before the reference attack; every step averages two gradients."""
    config = EvaluateConfig(
        checkpoint="a",
        data="b",
        output="c",
        attacks=(FGSM(),),
        curve=(1.0,),
        surrogates=("runs/one/checkpoint", "runs/two/checkpoint"),
        transfer_attacks=(PGD(steps=3),),
        eot_samples=2,
    )
    found = measurements_of(config, clip_format)
    assert [(one.label, one.cost.backward) for one in found[:4]] == [
        ("fgsm", 2),
        ("pgd-3 from one", 6),
        ("pgd-3 from two", 6),
        ("pgd-20", 40),
    ]
    assert listed(config) == found[:3]
    assert {str(one.threat) for one in found[:3]} == {str(config.threat)}


def test_an_attack_from_another_model_is_crafted_there_and_judged_here(
    model: Classifier, few_clips: Batch, config: EvaluateConfig, clip_format: ClipFormat
) -> None:
    """From a surrogate that is the model itself the result is the attack's own; from an untrained one another."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        other = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16).build(
            clip_format, 4
        )
    measurements = [Measurement(FGSM(), config.threat, surrogate=name) for name in (None, "same", "other")]
    alone, same, transferred = (
        piece.certificates.column("perturbed_prediction").tolist()
        for piece in measure_all(
            model, [few_clips], measurements, seed=0, model_sha256="ab", surrogates={"same": model, "other": other}
        )
    )
    assert alone == same
    assert alone != transferred


def test_a_single_modality_is_measured_once(clip_format: ClipFormat) -> None:
    config = EvaluateConfig(
        checkpoint="a",
        data="b",
        output="c",
        threat=ThreatModel(video=4 / 255, audio=0),
        attacks=(PGD(steps=20),),
        curve=(1.0,),
    )
    assert [(one.label, str(one.threat)) for one in measurements_of(config, clip_format)] == [
        ("pgd-20", "linf(video=4/255, audio=0)"),
        ("pgd-20", "linf(video=1, audio=0)"),
        ("noise", "linf(video=1, audio=0)"),
    ]


def test_modalities_without_a_budget_are_left_out() -> None:
    assert list(modality_threats(ThreatModel())) == ["video", "audio", "both"]
    assert list(modality_threats(ThreatModel(video=0))) == ["audio", "both"]


def test_an_unbounded_l2_attack_reaches_every_clip(clip_format: ClipFormat) -> None:
    """3 segments of 3 x 16 x 16 pixels: from all black to all white is sqrt(2304) = 48 long."""
    assert unbounded_threat(ThreatModel(norm="l2", video=1, audio=0), clip_format).video == 48.0
    assert unbounded_threat(ThreatModel(norm="l2", video=1, audio=0), clip_format).audio == 0.0


def test_the_seed_decides_random_starts(
    certify: Certify, model: Classifier, clips: Batch, config: EvaluateConfig, certificates: Certificates
) -> None:
    other = certify(model, clips, override(config, {"seed": 1}))
    threat = str(config.threat)
    assert other.select("fgsm", threat).table["l2_video"].equals(certificates.select("fgsm", threat).table["l2_video"])
    assert (
        not other.select("pgd-5", threat)
        .table["l2_video"]
        .equals(certificates.select("pgd-5", threat).table["l2_video"])
    )
