from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from preprocessing.schema import ClipFormat
from tests.training.conftest import NUM_CLASSES
from training.attacks import MIFGSM, TMA
from training.batch import Batch
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
