from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from training.attacks import MMA, TIA, TMA
from training.attacks.engine.features import Combination, tempered_gradient
from training.attacks.engine.gradients import classification_gradient
from training.attacks.engine.terms import AgreementTerm, TemporalTerm
from training.batch import MODALITIES, Batch
from training.models import Classifier, Outputs
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


class Silent(nn.Module):
    """A stranger's model, which tells what it is asked to."""

    def __init__(self, classifier: Classifier, *, features: bool, unimodal: bool) -> None:
        super().__init__()
        self.classifier = classifier
        self.features = features
        self.unimodal = unimodal

    def forward(self, video: torch.Tensor, audio: torch.Tensor) -> Outputs:
        found: Outputs = self.classifier(video, audio)
        return Outputs(
            logits=found.logits,
            video_features=found.video_features if self.features else None,
            audio_features=found.audio_features if self.features else None,
            video_logits=found.video_logits if self.unimodal else None,
            audio_logits=found.audio_logits if self.unimodal else None,
        )


def flat(streams: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([stream.flatten(1) for stream in streams.values()], 1)


def test_unit_gradients_let_no_term_drown_another(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """Scaling the logits up makes the cross-entropy's gradient tiny: the plain sum then follows L_M alone.

    The combined direction must stay close to the cross-entropy's own under `normalised` and not under `weighted`.
    """
    model.eval()
    confident = model(batch.video, batch.audio).logits.argmax(1)
    right = Batch(batch.video, batch.audio, confident, batch.keys)
    with torch.no_grad():
        for parameter in list(model.fusion.parameters())[-2:]:
            parameter.mul_(30.0)
    plain = flat(classification_gradient()(model, right, MODALITIES).streams)  # type: ignore[arg-type]
    assert plain.isfinite().all()

    def likeness(combination: Combination) -> torch.Tensor:
        compute = tempered_gradient(
            None, AgreementTerm(), combination=combination, loss="cross_entropy", generator=generator
        )
        found = flat(compute(model, right, MODALITIES).streams)  # type: ignore[arg-type]
        return torch.cosine_similarity(
            found / found.abs().amax(1, keepdim=True), plain / plain.abs().amax(1, keepdim=True), dim=1
        )

    assert likeness("normalised").median() > 0.8
    assert likeness("weighted").median() < 0.5


def test_the_plain_sum_is_the_gradient_of_j(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """J = CE - 0.2 L_T - 0.4 L_M, written out once more with autograd."""
    model.eval()
    compute = tempered_gradient(
        TemporalTerm(temporal_weight=0.2, features="raw"),
        AgreementTerm(modality_weight=0.4, agreement="predictions"),
        combination="weighted",
        loss="cross_entropy",
        generator=generator,
    )
    video = batch.video.clone().requires_grad_()
    outputs = model(video, batch.audio)
    loss = nn.functional.cross_entropy(outputs.logits, batch.labels, reduction="sum")
    both = (outputs.video_features, outputs.audio_features)
    varying = sum((each[:, 1:] - each[:, :-1]).square().sum(2).mean(1) for each in both) / 2
    agreeing = (outputs.video_logits.softmax(1) * outputs.audio_logits.softmax(1)).sum(1)
    (expected,) = torch.autograd.grad(loss - 0.2 * varying.sum() - 0.4 * agreeing.sum(), video)
    assert torch.allclose(compute(model, batch, MODALITIES).streams["video"], expected, rtol=1e-4, atol=1e-7)


def test_copies_are_others_in_every_step_and_the_same_in_every_run(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    def run() -> list[torch.Tensor]:
        compute = tempered_gradient(
            TemporalTerm(temporal="copies", transforms=("mask",)),
            None,
            combination="normalised",
            loss="cross_entropy",
            generator=generator,
        )
        return [compute(model.eval(), batch, MODALITIES).streams["video"] for _ in range(2)]

    (first, second), (again, _) = run(), run()
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_a_model_without_features_is_refused_by_what_needs_them(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    stranger = Silent(model, features=False, unimodal=True)
    with pytest.raises(ValueError, match="Silent gives no features: TIA, MMA and TMA need `video_features`"):
        TIA(steps=1)(stranger, batch, THREAT, generator)
    attack = MMA(steps=1, agreement="predictions", combination="weighted")
    perturbed = attack(stranger, batch, THREAT, generator)
    assert torch.equal(perturbed.video, attack(model, batch, THREAT, generator).video)


class Aside(nn.Module):
    """A model that gives features which its scores are not computed from: its own, once more."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.model(video, audio)
        assert outputs.video_features is not None
        assert outputs.audio_features is not None
        return replace(
            outputs, video_features=outputs.video_features.clone(), audio_features=outputs.audio_features.clone()
        )


@pytest.mark.parametrize("attack", [TIA(steps=1), MMA(steps=1), TMA(steps=1)], ids=lambda attack: attack.name)
def test_features_that_the_scores_do_not_come_from_are_refused_where_the_loss_would_be_lost(
    attack: TIA | MMA | TMA, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    with pytest.raises(ValueError, match="Aside gives scores that are not computed from its features"):
        attack(Aside(model), batch, ThreatModel(), generator)
    weighted = attack.model_copy(update={"combination": "weighted"})
    one, other = (weighted(each, batch, ThreatModel(), generator) for each in (model, Aside(model)))
    assert torch.allclose(one.video, other.video, atol=1e-6)


def test_a_model_without_unimodal_scores_is_refused_by_their_agreement_only(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    stranger = Silent(model, features=True, unimodal=False)
    with pytest.raises(ValueError, match="Silent gives no unimodal scores: agreement='predictions' needs"):
        MMA(steps=1, agreement="predictions")(stranger, batch, THREAT, generator)
    MMA(steps=1, agreement="means")(stranger, batch, THREAT, generator)


@pytest.mark.parametrize("combination", ["normalised", "weighted"])
def test_a_stream_that_the_model_does_not_look_at_gets_no_gradient(
    combination: Combination, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Only the sound may move, and the model is deaf: zeros, which the ascent replaces by noise, not an exception."""

    class Deaf(nn.Module):
        def forward(self, video: torch.Tensor, audio: torch.Tensor) -> Outputs:
            outputs: Outputs = model(video, torch.zeros_like(audio))
            return outputs

    model.eval().requires_grad_(False)
    compute = tempered_gradient(
        TemporalTerm(), AgreementTerm(), combination=combination, loss="cross_entropy", generator=generator
    )
    assert compute(Deaf(), batch, ("audio",)).streams["audio"].abs().max() == 0
