"""The measurements of an evaluation, their order, what they leave out and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.attack_lists import attack_label
from evaluation.config import EvaluateConfig
from evaluation.planning.plan import (
    Measurement,
    attempts_of,
    inside,
    listed,
    measurements_of,
    total_cost,
    work,
)
from evaluation.stored.certificates import Certificates
from evaluation.tasks.measurement import measure_all
from pipeline.settings.load import override
from preprocessing.schema import ClipFormat
from tests.evaluation.conftest import Certify, Summarise
from training.attacks import APGD, FGSM, PGD, Square
from training.batch import Batch
from training.models import Classifier
from training.passes import Passes


def test_work_is_counted_in_forward_passes(config: EvaluateConfig) -> None:
    """A backward pass is two forward passes: 3 for FGSM and 6 for two steps."""
    measurements = (Measurement(FGSM(), config.threat), Measurement(PGD(steps=2), config.threat))
    assert [work(measurement.cost) for measurement in measurements] == [3, 6]
    assert total_cost(measurements) == Passes(3, 3)


@pytest.fixture
def sparing(config: EvaluateConfig) -> EvaluateConfig:
    """Two cheap attacks, then two dear ones with gradients around one without."""
    attacks = (FGSM(), PGD(steps=5), APGD(steps=8), Square(queries=40), APGD(steps=9, loss="margin"))
    return override(config, {"attacks": attacks, "skip_fooled": True})


def test_only_attacks_dearer_than_the_reference_leave_clips_out(
    sparing: EvaluateConfig, clip_format: ClipFormat
) -> None:
    """Those with the model's own gradients look at their like alone; Square and transferred attacks look at all."""
    with_surrogate = override(sparing, {"surrogates": ("runs/other",), "transfer_attacks": (PGD(steps=6),)})
    measurements = listed(with_surrogate)
    assert measurements == measurements_of(with_surrogate, clip_format)[:6]
    left_out = [measurement.leaves_out for measurement in measurements]
    assert left_out == [None, None, (0, 1), (0, 1, 2), (0, 1, 2), (0, 1, 2, 3, 4)]


def test_leaving_fooled_clips_out_keeps_the_worst_case_and_says_what_it_left(
    certify: Certify, summarised: Summarise, model: Classifier, clips: Batch, sparing: EvaluateConfig
) -> None:
    """Clip by clip the same are standing at the end, and Square had fewer to attack."""
    whole = override(sparing, {"skip_fooled": False})
    threat = str(sparing.threat)
    with_all, with_few = certify(model, clips, whole), certify(model, clips, sparing)

    def standing(certificates: Certificates, config: EvaluateConfig) -> np.ndarray:
        rows = [certificates.select(attack_label(attack), threat).is_robust for attack in config.attacks]
        return np.asarray(np.logical_and.reduce(rows))

    assert (standing(with_all, whole) == standing(with_few, sparing)).all()
    expected, report = summarised(with_all, whole), summarised(with_few, sparing)
    assert report.attacks[:2] == expected.attacks[:2]
    assert report.checks[-1] == expected.checks[-1]
    apgd, square = report.attacks[2], report.attacks[3]
    fooled = [~with_few.select(name, threat).is_robust for name in ("fgsm", "pgd-5")]
    assert apgd.num_left_out == np.logical_or.reduce(fooled).sum() > 0
    assert square.num_left_out >= apgd.num_left_out
    assert all(attack.num_left_out == 0 for attack in expected.attacks)
    assert apgd.l2_video > 0.5 * report.attacks[1].l2_video  # of the clips that it was run on


def test_a_clip_that_is_left_out_was_not_touched(
    certify: Certify, model: Classifier, clips: Batch, sparing: EvaluateConfig
) -> None:
    rows = certify(model, clips, sparing).select("square queries 40", str(sparing.threat))
    left_out = rows.is_left_out
    assert left_out.any()
    assert not left_out.all()
    assert (rows.numbers("linf_video")[left_out] == 0).all()
    assert (rows.numbers("linf_video")[~left_out] > 0).all()
    assert not rows.is_robust[left_out].any()


def test_an_evaluation_that_goes_on_with_kept_pieces_gives_the_same_certificates(
    model: Classifier, few_clips: Batch, sparing: EvaluateConfig, clip_format: ClipFormat
) -> None:
    """Every second piece is kept: the rest need to know which clips those fooled."""
    measurements = measurements_of(sparing, clip_format)
    halves = [few_clips.select(torch.arange(9)), few_clips.select(torch.arange(9, 15))]
    whole = list(measure_all(model, halves, measurements, seed=0, model_sha256="ab", first_batch=3))
    assert {piece.batch for piece in whole} == {3, 4}
    kept = {piece.position: ~piece.certificates.is_robust for piece in whole[::2]}
    rest = list(measure_all(model, halves, measurements, seed=0, model_sha256="ab", first_batch=3, kept=kept))
    assert [piece.position for piece in rest] == [piece.position for piece in whole[1::2]]
    assert all(
        one.certificates.table.equals(other.certificates.table) for one, other in zip(rest, whole[1::2], strict=True)
    )


def test_further_attacks_on_the_curve_leave_out_what_falls_inside_their_threat(config: EvaluateConfig) -> None:
    """Positions: 0 to 2 the list, pgd-5 among it; 3, 4 frames alone; 5, 6 sound alone; 7 nothing; 8, 9 a quarter of the
    budget; 10, 11 four times. What falls alone or to a smaller budget falls to four times as much."""
    attempts = attempts_of(override(config, {"curve": (0.0, 0.25, 1.0, 4.0)}))
    told = [(one.label, one.threat.video * 255 / 7, one.threat.audio * 255 / 7, one.leaves_out) for one in attempts]
    assert told == [
        ("fgsm", 1.0, 1.0, None),
        ("pgd-5", 1.0, 1.0, None),
        ("pgd-5 margin", 1.0, 1.0, None),
        ("pgd-5", 1.0, 0.0, None),
        ("pgd-5 margin", 1.0, 0.0, (3,)),
        ("pgd-5", 0.0, 1.0, None),
        ("pgd-5 margin", 0.0, 1.0, (5,)),
        ("pgd-5", 0.0, 0.0, None),
        ("pgd-5", 0.25, 0.25, None),
        ("pgd-5 margin", 0.25, 0.25, (7, 8)),
        ("pgd-5", 4.0, 4.0, None),
        ("pgd-5 margin", 4.0, 4.0, tuple(range(11))),
    ]
    assert [attempts.index(one) for one in inside(attempts, config.threat.scaled(0.5))] == [7, 8, 9]


def test_the_worst_case_of_the_curve_is_the_same_whoever_is_left_out(
    certify: Certify, summarised: Summarise, model: Classifier, clips: Batch, config: EvaluateConfig
) -> None:
    """Leaving out saves passes; clip by clip the same stand as when every attack is run on every clip."""
    config = override(config, {"curve": (0.25, 0.5, 1.0, 2.0), "curve_attacks": (PGD(steps=4), Square(queries=30))})
    certificates = certify(model, clips, config)
    report = summarised(certificates, config)
    worst = [point.worst_case_robust_accuracy for point in report.curve]
    assert worst == sorted(worst, reverse=True)
    assert worst[0] > worst[-1]
    attempts = [Measurement(one.attack, one.threat) for one in attempts_of(config)]
    pieces = measure_all(model, [clips], attempts, seed=0, model_sha256="ab" * 32)
    standing = {attempts[piece.measurement]: piece.certificates.is_robust for piece in pieces}
    for point in report.curve:
        found = [standing[one] for one in inside(attempts, config.threat.scaled(point.factor))]
        assert np.logical_and.reduce(found).mean() == point.worst_case_robust_accuracy
    further = certificates.select("square queries 30", str(config.threat.scaled(2.0)))
    assert further.is_left_out.sum() > (~further.is_right_when_clean).sum()
