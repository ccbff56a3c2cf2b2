"""The whole way under `moments=other`: a trained model, clips stored twice, the report, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from evaluation.config import EvaluateConfig
from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.subject import load_subject
from evaluation.reporting.page import AT_OTHER_MOMENTS, PAGE_NAME
from evaluation.reporting.report import Report
from evaluation.run import check, evaluate, finished_report, verify
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates
from evaluation.stored.perturbations import PERTURBATIONS_NAME
from preprocessing.errors import DataError, SettingsError
from tests.evaluation.conftest import store_again
from tests.evaluation.evaluations import settings, trained_checkpoint
from training.attacks import PGD, MinimalBudget, WorstCase
from training.checkpoint import load_model
from training.data import evaluation_batches
from training.threat import ThreatModel

KNOWN = ThreatModel(video=8 / 255, audio=8 / 255)
OTHER = ThreatModel(video=8 / 255, audio=8 / 255, moments="other")
ABOUT_CLIPS = ("key", "label", "clean_prediction", "perturbed_prediction", "linf_video", "l2_audio", "distance_video")


@pytest.fixture(scope="module")
def checkpoint(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_checkpoint(tiny_dataset, tmp_path_factory.mktemp("model") / "checkpoint")


def elsewhere(checkpoint: Path, data: Path, moments: Path, output: Path, **changes: Any) -> EvaluateConfig:
    return settings(checkpoint, data, output, **{"threat": OTHER, "moments": str(moments)} | changes)


@pytest.fixture(scope="module")
def half_a_segment_later(
    checkpoint: Path, tiny_dataset: Path, stored_later: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Report]:
    output = tmp_path_factory.mktemp("later")
    return output, evaluate(elsewhere(checkpoint, tiny_dataset, stored_later, output))


def test_the_report_verifies_on_the_clips_that_the_model_samples(half_a_segment_later: tuple[Path, Report]) -> None:
    output, report = half_a_segment_later
    assert verify(output) == []
    assert Report.read(output) == report
    assert report.threat == "linf(video=8/255, audio=8/255, moments=other)"
    rows = Certificates.read(output / CERTIFICATES_NAME)
    assert {threat for _, threat in rows.measurements} == {
        f"linf(video={video}, audio={audio}, moments=other)"
        for video, audio in (
            ("8/255", "8/255"),
            ("8/255", "0"),
            ("0", "8/255"),
            ("0", "0"),
            ("32/255", "32/255"),
            ("1", "1"),
        )
    }


def test_success_counts_among_what_is_right_at_the_models_own_moments(
    half_a_segment_later: tuple[Path, Report], checkpoint: Path, stored_later: Path
) -> None:
    output, report = half_a_segment_later
    model = load_model(checkpoint)[0].eval()
    batches = list(evaluation_batches(str(stored_later), "train", batch_size=8))
    classes = np.concatenate([model(batch.video, batch.audio).logits.argmax(1).numpy() for batch in batches])
    by_key = dict(zip([key for batch in batches for key in batch.keys], classes.tolist(), strict=True))
    rows = Certificates.read(output / CERTIFICATES_NAME).select("pgd-4", report.threat)
    assert rows.column("clean_prediction").tolist() == [by_key[key] for key in rows.column("key").tolist()]
    success = (~rows.is_robust)[rows.is_right_when_clean].mean()
    assert report.attacks[1].attack_success_rate == pytest.approx(success)


def test_page_and_checks_say_what_was_done(half_a_segment_later: tuple[Path, Report]) -> None:
    output, report = half_a_segment_later
    page = (output / PAGE_NAME).read_text()
    assert AT_OTHER_MOMENTS in page
    assert "attacked at the moments of" in page
    assert str(report.moments_content_sha256) in page
    outcomes = {each.name: each.outcome for each in report.checks}
    for name in ("many_steps_beat_one", "accuracy_falls_with_epsilon", "unbounded_attack_succeeds"):
        assert outcomes[name] == "not_run"
    assert outcomes["forward_is_deterministic"] == "passed"


def test_any_number_of_workers_gives_the_same_bits(
    half_a_segment_later: tuple[Path, Report], checkpoint: Path, tiny_dataset: Path, stored_later: Path, tmp_path: Path
) -> None:
    output, _ = half_a_segment_later
    evaluate(elsewhere(checkpoint, tiny_dataset, stored_later, tmp_path, workers=1))
    for name in (CERTIFICATES_NAME, PERTURBATIONS_NAME):
        assert (tmp_path / name).read_bytes() == (output / name).read_bytes()


def test_at_the_same_moments_it_is_the_evaluation_under_known_ones(
    checkpoint: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    """Clip by clip and bit for bit, but for the name of the threat."""
    reports = (
        evaluate(settings(checkpoint, tiny_dataset, tmp_path / "known", threat=KNOWN)),
        evaluate(elsewhere(checkpoint, tiny_dataset, tiny_dataset, tmp_path / "other")),
    )
    known, other = (Certificates.read(tmp_path / name / CERTIFICATES_NAME) for name in ("known", "other"))
    for name in ABOUT_CLIPS:
        assert known.table[name].to_pylist() == other.table[name].to_pylist(), name
    assert [each.robust_accuracy for each in reports[0].curve] == [each.robust_accuracy for each in reports[1].curve]


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        pytest.param({"threat": ThreatModel(norm="l2", video=2.0, audio=2.0, moments="other")}, {}, id="l2"),
        pytest.param({"threat": OTHER.model_copy(update={"segments": (1, 3)})}, {}, id="segments"),
        pytest.param({"threat": OTHER}, {"num_segments": 3, "offset": 0.25}, id="another number of segments"),
        pytest.param(
            {"threat": ThreatModel(video=8 / 255, audio=0.01, audio_domain="waveform", moments="other")},
            {},
            id="waveform",
        ),
        pytest.param(
            {"attacks": (MinimalBudget(attack=PGD(steps=2), rounds=2), WorstCase(attacks=(PGD(steps=2),)))},
            {},
            id="attacks of attacks",
        ),
        pytest.param({"skip_fooled": True, "attacks": (PGD(steps=2), PGD(steps=6))}, {}, id="clips left out"),
    ],
)
def test_every_kind_of_threat_verifies(
    changes: dict[str, Any],
    stored: dict[str, Any],
    checkpoint: Path,
    tiny_dataset: Path,
    tiny_videos: Path,
    stored_later: Path,
    tmp_path: Path,
) -> None:
    moments = store_again(tiny_videos, tmp_path / "shards", **stored) if stored else stored_later
    small = {"limit": 8, "curve": (1.0,), "curve_attacks": (), "workers": 1}
    evaluate(elsewhere(checkpoint, tiny_dataset, moments, tmp_path / "report", **small | changes))
    assert verify(tmp_path / "report") == []


def test_a_finished_one_is_found_again_and_other_moments_are_another_one(
    half_a_segment_later: tuple[Path, Report],
    checkpoint: Path,
    tiny_dataset: Path,
    tiny_videos: Path,
    stored_later: Path,
    tmp_path: Path,
) -> None:
    output, report = half_a_segment_later
    assert finished_report(check(elsewhere(checkpoint, tiny_dataset, stored_later, output))) == report
    quarter = store_again(tiny_videos, tmp_path / "quarter", offset=0.25)
    others = check(elsewhere(checkpoint, tiny_dataset, quarter, output))
    assert finished_report(others) is None
    assert others.fingerprint != check(elsewhere(checkpoint, tiny_dataset, stored_later, output)).fingerprint


def test_a_moved_data_set_is_named_where_success_was_measured(
    half_a_segment_later: tuple[Path, Report], tiny_dataset: Path, stored_later: Path, tmp_path: Path
) -> None:
    """`data` of verify and of perceptibility is that data set; another one is told."""
    output, report = half_a_segment_later
    moved = shutil.copytree(stored_later, tmp_path / "moved")
    assert verify(output, data=str(moved)) == []
    subject = load_subject(
        PerceptibilityConfig(evaluation=str(output), output=str(tmp_path / "looked"), data=str(moved))
    )
    assert subject.stored.index.content_sha256 == report.moments_content_sha256
    with pytest.raises(DataError, match=r"is the data set .* was measured on"):
        load_subject(
            PerceptibilityConfig(evaluation=str(output), output=str(tmp_path / "looked"), data=str(tiny_dataset))
        )


def test_threat_and_data_set_come_together_or_not_at_all(
    checkpoint: Path, tiny_dataset: Path, stored_later: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match=r"threat=linf\(.*moments=other\) hides .*: add moments=DIR"):
        settings(checkpoint, tiny_dataset, tmp_path, threat=OTHER)
    with pytest.raises(ValidationError, match=r"moments=.* is about known ones: write moments=other into the threat"):
        settings(checkpoint, tiny_dataset, tmp_path, threat=KNOWN, moments=str(stored_later))


def test_segments_are_those_that_are_attacked(
    checkpoint: Path, tiny_dataset: Path, stored_later: Path, tmp_path: Path
) -> None:
    threat = OTHER.model_copy(update={"segments": (4,)})
    with pytest.raises(SettingsError, match=r"names segment 4, but the clips of .* have 4 segments"):
        check(elsewhere(checkpoint, tiny_dataset, stored_later, tmp_path, threat=threat))
