"""Models that look robust because their gradients mislead, each caught; and honest ones, which are left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from evaluation.config import EvaluateConfig
from evaluation.planning.plan import measurements_of
from evaluation.reporting.report import Report
from evaluation.stored.certificates import Certificates
from evaluation.tasks.measurement import measure_all
from pipeline.settings.load import override
from preprocessing.schema import ClipFormat
from tests.evaluation.masking.zoo import HONEST, MASKED, Normalised, Wrapped, both, honest, masked, rippled
from training.attacks import FGSM, PGD
from training.batch import Batch
from training.models import Classifier, ModelConfig
from training.threat import ThreatModel

Certify = Callable[..., Certificates]
Summarised = Callable[[Certificates, EvaluateConfig], Report]
Judged = Callable[[nn.Module, Batch, EvaluateConfig], Report]
OTHER_THREATS = ("l2(video=1, audio=0.6)", "linf(video=7/255, audio=7/255, segments=0-1)", "linf(video=7/255)")


def fired(report: Report) -> set[str]:
    return {check.name for check in report.checks if check.outcome == "fired"}


@pytest.fixture(scope="module")
def small(config: EvaluateConfig) -> EvaluateConfig:
    """Two attacks, and no curve."""
    return override(config, {"attacks": (FGSM(), PGD(steps=3)), "reference_attack": PGD(steps=5), "curve": (1.0,)})


@pytest.fixture(scope="module")
def judged(certify: Certify, summarised: Summarised) -> Judged:
    """The report of a model."""
    return lambda model, clips, config: summarised(certify(model.eval(), clips, config), config)


@pytest.mark.parametrize("name", MASKED)
def test_a_masked_model_has_its_headline_withheld(
    name: str, judged: Judged, model: Classifier, few_clips: Batch, small: EvaluateConfig
) -> None:
    report = judged(masked(name, model), few_clips, small)
    assert MASKED[name][1] in fired(report)
    assert report.worst_case_robust_accuracy is None
    assert report.withheld is not None
    assert {reason.split(":")[0] for reason in report.withheld.reasons} == fired(report)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_model_is_left_alone(
    name: str, judged: Judged, model: Classifier, few_clips: Batch, small: EvaluateConfig
) -> None:
    report = judged(honest(name, model), few_clips, small)
    assert fired(report) == set()
    assert report.worst_case_robust_accuracy is not None


def test_an_honest_model_passes_every_check(
    certificates: Certificates, config: EvaluateConfig, summarised: Summarised
) -> None:
    """Of its 48 clips plain noise without a limit leaves enough for an attack to be surely better."""
    report = summarised(certificates, config)
    outcomes = {check.name: check.outcome for check in report.checks}
    assert outcomes.pop("white_box_beats_black_box") == "not_run"
    assert set(outcomes.values()) == {"passed"}
    assert report.withheld is None


def trained(model: nn.Module, clips: Batch, attack: PGD | None, threat: ThreatModel) -> nn.Module:
    """A model after six epochs, of attacked clips if there is an attack."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(6):
        for start in range(0, len(clips), 32):
            batch = clips.select(torch.arange(start, min(start + 32, len(clips))))
            model.train()
            if attack:
                batch = attack(model, batch, threat, torch.Generator().manual_seed(start))
            loss = functional.cross_entropy(model(batch.video, batch.audio).logits, batch.labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return model.eval()


@pytest.mark.parametrize("kind", ["adversarially trained", "with batch normalisation", "with dropout"])
def test_an_honest_model_of_another_training_is_left_alone(
    kind: str,
    judged: Judged,
    clip_format: ClipFormat,
    training_clips: Batch,
    few_clips: Batch,
    small: EvaluateConfig,
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16).build(
            clip_format, 4
        )
    if kind == "with dropout":
        classifier.set_dropout(0.3)
    model = Normalised(classifier) if kind == "with batch normalisation" else classifier
    attack = PGD(steps=2) if kind == "adversarially trained" else None
    report = judged(trained(model, training_clips, attack, small.threat), few_clips, small)
    assert report.clean_accuracy > 0.6
    assert fired(report) == set()


@pytest.mark.parametrize("threat", OTHER_THREATS)
def test_other_threats_tell_the_masked_from_the_honest(
    threat: str, judged: Judged, model: Classifier, few_clips: Batch, small: EvaluateConfig
) -> None:
    changed = override(small, {"threat": threat})
    assert fired(judged(model, few_clips, changed)) == set()
    report = judged(Wrapped(model, **both(rippled(137.0361))), few_clips, changed)
    assert "video_loss_rises_along_gradient" in fired(report)


def test_a_waveform_tells_the_masked_from_the_honest(
    judged: Judged, listening_model: Classifier, tones: Batch, small: EvaluateConfig
) -> None:
    changed = override(small, {"threat": "linf(waveform=0.004)"})
    assert fired(judged(listening_model, tones, changed)) == set()
    shattered = Wrapped(listening_model, audio=rippled(137.0361, 1e-3))
    assert "audio_loss_rises_along_gradient" in fired(judged(shattered, tones, changed))


def test_an_attack_from_an_honest_surrogate_fools_what_hides_its_gradient(
    summarised: Summarised, model: Classifier, clips: Batch, small: EvaluateConfig, clip_format: ClipFormat
) -> None:
    """The masked model is the surrogate behind a ripple: what fools the one fools the other."""
    changed = override(small, {"surrogates": ("runs/open",), "attacks": (PGD(steps=3),)})
    pieces = measure_all(
        masked("shattered at 137 ripples a level", model),
        [clips],
        measurements_of(changed, clip_format),
        seed=0,
        model_sha256="ab" * 32,
        surrogates={"surrogate": model},
    )
    report = summarised(Certificates.joined([piece.certificates for piece in pieces]), changed)
    assert {"white_box_beats_black_box", "video_loss_rises_along_gradient"} <= fired(report)
    by_name = {attack.name: attack.robust_accuracy for attack in report.attacks}
    assert by_name["mifgsm-10 from surrogate"] < by_name["pgd-3"] - 0.3
    assert report.withheld is not None
    assert report.withheld.worst_case_robust_accuracy <= by_name["mifgsm-10 from surrogate"]
