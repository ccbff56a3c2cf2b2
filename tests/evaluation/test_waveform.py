"""An evaluation under a threat to the waveform: budgets, units, silence and everything that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluation.config import EvaluateConfig
from evaluation.masking.facts import clip_facts
from evaluation.planning.plan import Measurement, unbounded_threat
from evaluation.reporting.page import report_page
from evaluation.reporting.report import Report
from evaluation.stored.certificates import Certificates
from evaluation.stored.changes import signal_to_noise_db
from evaluation.tasks.crafting import BudgetError, attack_checked
from evaluation.tasks.measurement import measure
from evaluation.verification.files import differences
from pipeline.settings.load import override
from preprocessing.schema import ClipFormat
from training.attacks import FGSM, IFGSM, PGD, Attack
from training.attacks.engine.gradients import count_unusable_gradients
from training.batch import Batch
from training.models import Classifier, Outputs
from training.passes import Passes
from training.threat import ThreatModel

Certify = Callable[..., Certificates]
Summarised = Callable[[Certificates, EvaluateConfig], Report]
THREAT = ThreatModel.model_validate("linf(waveform=0.004)")


@pytest.fixture(scope="module")
def waveform_config(config: EvaluateConfig) -> EvaluateConfig:
    """The sound alone: the frames of these clips say nothing."""
    listed = {"threat": THREAT, "attacks": (FGSM(), PGD(steps=5)), "curve": (0.0, 1.0)}
    return override(config, listed)


@pytest.fixture(scope="module")
def heard(certify: Certify, listening_model: Classifier, tones: Batch, waveform_config: EvaluateConfig) -> Certificates:
    return certify(listening_model, tones, waveform_config)


@pytest.fixture(scope="module")
def report(heard: Certificates, waveform_config: EvaluateConfig, summarised: Summarised) -> Report:
    return summarised(heard, waveform_config)


def silent(clips: Batch) -> Batch:
    """The same clips in digital silence."""
    return clips.with_streams(clips.video, torch.zeros_like(clips.audio))


class Beyond(Attack):
    """Breaks its promise: leaves the box of a waveform, or touches what it must not."""

    name: Literal["beyond"] = "beyond"
    to: float = 1.5
    segment: int = 0

    def __call__(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        audio = batch.audio.clone()
        audio[:, self.segment, 0] = self.to
        return batch.with_streams(batch.video, audio)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        return batch

    @property
    def cost(self) -> Passes:
        return Passes()


class Coarse(nn.Module):
    """The trained classifier on a waveform of few levels: no gradient passes the rounding."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.model(video, (audio * 256).round() / 256)
        return outputs


class Recording(nn.Module):
    """The trained classifier, which remembers the precision that its logits had."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model
        self.seen: set[torch.dtype] = set()

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.model(video, audio)
        self.seen.add(outputs.logits.dtype)
        return outputs


def test_the_model_is_right_until_its_waveform_is_attacked(report: Report) -> None:
    """Tones at half the amplitude of the noise; a change of a fifth of it is hardly heard, and enough."""
    assert report.clean_accuracy > 0.9
    assert report.withheld is None
    assert report.worst_case_robust_accuracy is not None
    assert report.worst_case_robust_accuracy < report.clean_accuracy - 0.2
    assert report.unbounded.robust_accuracy < 0.5


def test_waveforms_stay_within_their_budget_in_units_of_full_scale(heard: Certificates) -> None:
    rows = heard.select("pgd-5", "linf(video=0, waveform=0.004)")
    assert rows.numbers("linf_audio") == pytest.approx(np.full(24, 0.004), rel=1e-4)
    assert (rows.numbers("linf_video") == 0).all()


def test_the_ratio_is_that_of_the_waveforms(heard: Certificates, tones: Batch) -> None:
    """One full step of 0.004 on nearly every sample: 10 log10(mean square / 0.004^2)."""
    powers = tones.audio.double().square().flatten(1).mean(1)
    expected = 10 * (powers / 0.004**2).log10()
    found = heard.select("fgsm", "linf(video=0, waveform=0.004)").numbers("snr_audio_db")
    assert found == pytest.approx(expected.numpy(), abs=0.1)


def test_silence_has_no_signal_to_noise_ratio(tones: Batch) -> None:
    quiet = silent(tones)
    assert signal_to_noise_db(quiet.audio + 0.001, quiet.audio) == [None] * 24


@pytest.mark.parametrize(
    ("threat", "expected"),
    [
        ("linf(video=0.01, waveform=0.01)", "linf(video=1, waveform=2)"),
        ("linf(waveform=0.01, segments=0-1)", "linf(video=0, waveform=2)"),
        ("l2(waveform=0.1)", "l2(video=0, waveform=138.564)"),
    ],
)
def test_an_unbounded_attack_reaches_every_waveform(threat: str, expected: str, clip_format: ClipFormat) -> None:
    """From -1 to 1 is 2; in 3 segments of 1600 samples 2 sqrt(4800) = 138.564. No segment is spared then."""
    assert str(unbounded_threat(ThreatModel.model_validate(threat), clip_format)) == expected


def test_a_waveform_outside_its_box_stops_the_evaluation(listening_model: Classifier, tones: Batch) -> None:
    roomy = ThreatModel.model_validate("linf(waveform=2)")
    with pytest.raises(BudgetError, match=r"clip 'tone_1_0000' has audio .* values outside \[-1, 1\]"):
        attack_checked(listening_model, tones, Measurement(Beyond(), roomy), seed=0)
    perturbation = attack_checked(listening_model, tones, Measurement(Beyond(to=-0.9), roomy), seed=0)
    assert perturbation.applied(tones, roomy).audio.min() < -0.8


def test_a_touched_segment_that_is_spared_stops_the_evaluation(listening_model: Classifier, tones: Batch) -> None:
    spared = ThreatModel.model_validate("linf(waveform=2, segments=1)")
    with pytest.raises(BudgetError, match=r"or a change of 0\.\d+ in a segment that must stay as it is"):
        attack_checked(listening_model, tones, Measurement(Beyond(to=0.5, segment=0), spared), seed=0)
    attack_checked(listening_model, tones, Measurement(Beyond(to=0.5, segment=1), spared), seed=0)


def test_certificates_say_that_spared_segments_are_as_they_were(listening_model: Classifier, tones: Batch) -> None:
    threat = ThreatModel.model_validate("linf(video=4/255, waveform=0.004, segments=2)")
    facts = clip_facts(listening_model, tones, threat)
    rows, _ = measure(listening_model, tones, Measurement(PGD(steps=1), threat), facts=facts, seed=0, model_sha256="ab")
    assert {row.linf_outside for row in rows} == {0.0}
    assert min(row.linf_audio for row in rows) > 0


def test_a_model_that_listens_is_seen_to(listening_model: Classifier, tones: Batch) -> None:
    """Turning the waveform upside down changes no power spectrum; noise in its place does."""
    upside_down = listening_model(tones.video, -tones.audio).logits
    assert torch.allclose(upside_down, listening_model(tones.video, tones.audio).logits, atol=1e-5)
    for clips in (tones, silent(tones)):
        facts = clip_facts(listening_model, clips, THREAT)
        assert facts.uses_audio.all()


def test_silence_is_not_mistaken_for_a_masked_gradient(
    certify: Certify,
    summarised: Summarised,
    listening_model: Classifier,
    tones: Batch,
    waveform_config: EvaluateConfig,
) -> None:
    """At exact silence the gradient of a power is zero whatever the model; beside it there is one."""
    quiet = silent(tones)
    waveform = quiet.audio.clone().requires_grad_()
    listening_model(quiet.video, waveform).logits.sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.abs().max() == 0
    honest = summarised(certify(listening_model, quiet, waveform_config), waveform_config)
    usable = next(check for check in honest.checks if check.name == "audio_gradients_are_usable")
    assert usable.outcome == "passed"


@pytest.mark.parametrize("sound", ["tones", "silence"])
def test_a_waveform_whose_gradients_vanish_has_its_headline_withheld(
    sound: str,
    certify: Certify,
    summarised: Summarised,
    listening_model: Classifier,
    tones: Batch,
    waveform_config: EvaluateConfig,
) -> None:
    clips = tones if sound == "tones" else silent(tones)
    report = summarised(certify(Coarse(listening_model).eval(), clips, waveform_config), waveform_config)
    assert report.worst_case_robust_accuracy is None
    assert report.withheld is not None
    assert any(reason.startswith("audio_gradients_are_usable: 24 of 24") for reason in report.withheld.reasons)


def test_lost_gradients_are_told_per_attack(
    certify: Certify,
    summarised: Summarised,
    listening_model: Classifier,
    tones: Batch,
    waveform_config: EvaluateConfig,
    report: Report,
) -> None:
    """None for the honest model; all of them where the waveform is rounded, and half where every second clip is silent.

    A silent clip has no gradient at its first step; noise then moves it, so of five steps from a random start none is
    lost, and FGSM loses its only one.
    """
    assert [attack.unusable_gradients for attack in report.attacks] == [0.0, 0.0]
    assert report.warnings == ()
    masked = summarised(certify(Coarse(listening_model).eval(), tones, waveform_config), waveform_config)
    assert [attack.unusable_gradients for attack in masked.attacks] == [1.0, 1.0]
    assert masked.warnings[0].startswith("fgsm: 100.0 % of its gradients were zero or not finite")
    quiet = torch.where(torch.arange(24)[:, None, None] % 2 == 0, 0.0, tones.audio)
    mixed = certify(listening_model, tones.with_streams(tones.video, quiet), waveform_config)
    for attack, share in (("fgsm", 0.5), ("pgd-5", 0.0)):
        assert mixed.select(attack, str(THREAT)).numbers("unusable_gradients").mean() == share


def test_an_attack_without_a_random_start_moves_the_silent_segments_of_a_clip(
    listening_model: Classifier, tones: Batch
) -> None:
    """The gradient is zero there and not in the others: a sign of zero would leave them silent for ever."""
    audio = tones.audio.clone()
    audio[:, 1] = 0.0
    partly = tones.with_streams(tones.video, audio)
    with count_unusable_gradients() as gradients:
        perturbed = IFGSM(steps=2)(listening_model, partly, THREAT, torch.Generator().manual_seed(0))
    assert (perturbed.audio[:, 1].abs().amax(1) > 0.0039).all()
    assert gradients.share == 0.0
    alone = IFGSM(steps=2)(listening_model, partly.select(torch.tensor([5])), THREAT, torch.Generator().manual_seed(0))
    assert (alone.audio[0] - perturbed.audio[5]).abs().gt(1e-5).float().mean() < 0.01


def test_an_evaluation_is_in_full_precision_whatever_its_caller_has_switched_on(
    listening_model: Classifier, tones: Batch
) -> None:
    recording = Recording(listening_model).eval()
    measurement = Measurement(PGD(steps=1), THREAT)

    def rows() -> list[dict[str, object]]:
        facts = clip_facts(recording, tones, THREAT)
        found, _ = measure(recording, tones, measurement, facts=facts, seed=0, model_sha256="ab")
        return [row.model_dump() for row in found]

    expected = rows()
    with torch.autocast("cpu", torch.bfloat16):
        assert recording(tones.video, tones.audio).logits.dtype == torch.bfloat16
        recording.seen.clear()
        assert rows() == expected
        assert recording.seen == {torch.float32}
        assert torch.is_autocast_enabled("cpu")


def test_a_page_says_which_domain_its_numbers_are_about(report: Report) -> None:
    page = report_page(report, {})
    assert "each sample of the waveform by up to 0.004, in units of the value range" in page
    assert "its SNR<br>of waveform" in page
    assert "<td>0.004</td>" in page
    assert ">log-mel<" not in page
    assert "linf(video=0, waveform=0.004)" in page


def test_a_report_of_waveforms_survives_being_computed_again(
    report: Report, heard: Certificates, waveform_config: EvaluateConfig, summarised: Summarised
) -> None:
    again = summarised(heard, waveform_config)
    assert list(differences(report.model_dump(), again.model_dump())) == []
