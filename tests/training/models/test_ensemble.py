from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from evaluation.attack_lists import attack_label
from preprocessing.schema import ClipFormat
from tests.training.attacks.trained import trained
from tests.training.conftest import NUM_CLASSES
from training.attacks import MIFGSM, MMA, TIA, TMA, Attack
from training.batch import MODALITIES, Batch
from training.models import Classifier, ModelConfig, Outputs
from training.models.ensemble import Ensemble
from training.threat import ThreatModel

THREAT = ThreatModel(video=8 / 255, audio=8 / 255)


class LogitsAlone(nn.Module):
    """A model that tells nothing but its logits."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        return Outputs(self.model(video, audio).logits)


@pytest.fixture
def other(clip_format: ClipFormat) -> Classifier:
    """A classifier of another architecture and seed than `model`."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="sum", feature_size=8)
        return config.build(clip_format, NUM_CLASSES)


def test_logits_are_the_mean_of_the_members(model: Classifier, other: Classifier, batch: Batch) -> None:
    outputs = Ensemble([model, other])(batch.video, batch.audio)
    mine, others = model(batch.video, batch.audio), other(batch.video, batch.audio)
    for name in ("logits", "video_logits", "audio_logits"):
        assert torch.allclose(getattr(outputs, name), (getattr(mine, name) + getattr(others, name)) / 2)


def test_features_stand_side_by_side(model: Classifier, other: Classifier, batch: Batch) -> None:
    """16 features of one member and 8 of the other are 24."""
    outputs = Ensemble([model, other])(batch.video, batch.audio)
    assert outputs.video_features is not None
    assert outputs.video_features.shape == (7, 4, 24)
    assert torch.equal(outputs.video_features[..., 16:], other(batch.video, batch.audio).video_features)


def test_an_ensemble_of_one_is_its_member(model: Classifier, batch: Batch) -> None:
    outputs, expected = Ensemble([model])(batch.video, batch.audio), model(batch.video, batch.audio)
    for name in ("logits", "video_features", "audio_features", "video_logits", "audio_logits"):
        assert torch.equal(getattr(outputs, name), getattr(expected, name)), name


def test_what_one_member_does_not_tell_the_ensemble_does_not_tell(model: Classifier, batch: Batch) -> None:
    outputs = Ensemble([model, LogitsAlone(model)])(batch.video, batch.audio)
    for name in ("video_features", "audio_features", "video_logits", "audio_logits"):
        assert getattr(outputs, name) is None, name


def test_members_of_other_classes_are_refused(model: Classifier, clip_format: ClipFormat, batch: Batch) -> None:
    config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=8)
    ensemble = Ensemble([model, config.build(clip_format, num_classes=3)])
    with pytest.raises(ValueError, match=r"members have logits of \[4, 3\] classes; they must have equally many"):
        ensemble(batch.video, batch.audio)


def test_an_ensemble_without_members_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one model, got none"):
        Ensemble([])


@pytest.mark.parametrize(
    "attack",
    [
        MIFGSM(steps=3),
        TIA(steps=3),
        TIA(steps=3, temporal="copies", num_copies=2),
        MMA(steps=3),
        MMA(steps=3, agreement="predictions"),
        TMA(steps=3),
        TMA(steps=3, combination="weighted"),
    ],
    ids=attack_label,
)
def test_a_model_twice_is_attacked_as_it_is_alone(attack: Attack, model: Classifier, batch: Batch) -> None:
    """And three times; in l2, where no sign hangs on the rounding of a gradient that is nearly nothing."""
    threat = ThreatModel(norm="l2", video=0.5, audio=0.5)
    alone = attack(model, batch, threat, torch.Generator().manual_seed(0))
    for ensemble in (Ensemble([model, model]), Ensemble([model, Ensemble([model]), model])):
        found = attack(ensemble, batch, threat, torch.Generator().manual_seed(0))
        for name in MODALITIES:
            assert torch.allclose(found.stream(name), alone.stream(name), atol=1e-5)


@pytest.mark.parametrize("attack", [TIA(), MMA(), TMA()], ids=attack_label)
def test_the_terms_cost_no_success_on_an_ensemble(attack: Attack) -> None:
    """Every member is fooled nearly as often as by the loss alone."""
    models = trained().surrogate, trained().stranger
    clips, threat = trained().clips, ThreatModel(video=24 / 255, audio=24 / 255)
    rights = []
    for each in (MIFGSM(), attack):
        perturbed = each(Ensemble(models), clips, threat, torch.Generator().manual_seed(0))
        rights.append(sum(trained().accuracies(perturbed)) / 2)
    assert rights[0] < 0.6
    assert rights[1] < rights[0] + 0.05


@pytest.mark.parametrize("attack", [MIFGSM(steps=2), TMA(steps=2)], ids=["logits", "features"])
def test_an_attack_on_an_ensemble_raises_every_members_loss_and_leaves_it_as_found(
    attack: MIFGSM | TMA, model: Classifier, other: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    model.train()
    other.eval()
    perturbed = attack(Ensemble([model, other]), batch, THREAT, generator)
    assert model.training
    assert not other.training
    assert all(parameter.requires_grad for member in (model, other) for parameter in member.parameters())
    with torch.no_grad():
        for member in (model.eval(), other):
            before, after = (
                nn.functional.cross_entropy(member(clips.video, clips.audio).logits, clips.labels)
                for clips in (batch, perturbed)
            )
            assert after > before
