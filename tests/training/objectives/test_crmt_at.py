from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from tests.training.attacks.linear import LinearClassifier
from training.batch import Batch
from training.models import Classifier, Outputs
from training.objectives import CRMTAT
from training.objectives.crmt_at import JointPGD, margin_shortfalls
from training.threat import ThreatModel


def two_classes(batch: Batch) -> Batch:
    """Clips in [0.3, 0.7] with labels 0 and 1."""
    return Batch(0.3 + 0.4 * batch.video, 0.3 + 0.4 * batch.audio, batch.labels % 2, batch.keys)


def spent(perturbed: Batch, batch: Batch, threat: ThreatModel) -> torch.Tensor:
    """(||delta_v|| / epsilon_v)^2 + (||delta_a|| / epsilon_a)^2 per clip."""
    distances = threat.distances(perturbed, batch)
    shares = [(distances[name] / threat.epsilon(name)) ** 2 for name in threat.modalities]
    return torch.stack(shares).sum(0)


def test_the_best_point_of_the_joint_ball_of_a_linear_model(batch: Batch, generator: torch.Generator) -> None:
    """The score falls fastest along (e_v^2 w_v, e_a^2 w_a), so the best change is that at the ball's border:

    it lowers the score by the length of (e_v w_v, e_a w_a).
    """
    model, clips = LinearClassifier(), two_classes(batch)
    threat = ThreatModel(norm="l2", video=0.4, audio=0.1)
    perturbed = JointPGD(steps=5)(model, clips, threat, generator)
    torch.testing.assert_close(spent(perturbed, clips, threat), torch.ones(7), atol=1e-3, rtol=0)
    before, after = (model(each.video, each.audio).logits.detach()[:, 0] for each in (clips, perturbed))
    best = torch.cat([0.4 * model.video, 0.1 * model.audio]).detach().norm()
    signs = 1 - 2 * clips.labels
    torch.testing.assert_close(signs * (before - after), best.expand(7), atol=1e-3, rtol=1e-3)


def test_the_ball_is_one_for_both_modalities(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    threat = ThreatModel(norm="l2", video=0.5, audio=0.5)
    perturbed = JointPGD(steps=4, step_size=1.0)(model, two_classes(batch), threat, generator)
    assert (spent(perturbed, two_classes(batch), threat) <= 1 + 1e-4).all()


def test_a_modality_that_the_model_ignores_takes_no_part_of_the_budget(
    batch: Batch, generator: torch.Generator
) -> None:
    model, clips = LinearClassifier(), two_classes(batch)
    with torch.no_grad():
        model.audio.zero_()
    threat = ThreatModel(norm="l2", video=0.5, audio=0.5)
    perturbed = JointPGD()(model, clips, threat, generator)
    assert torch.equal(perturbed.audio, clips.audio)
    torch.testing.assert_close(threat.distances(perturbed, clips)["video"], torch.full((7,), 0.5), atol=1e-3, rtol=0)


def test_the_shortfall_of_known_scores() -> None:
    """Label 0; video (1, 0), audio (0, 0): ln(1 + e^-1 + e^0) = 0.86199. Wide margins of 100: ln(1 + 2 e^-100) = 0."""
    video, audio = torch.tensor([[1.0, 0.0], [100.0, 0.0]]), torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    found = margin_shortfalls(video, audio, torch.tensor([0, 0]))
    assert found.tolist() == pytest.approx([math.log(2 + math.exp(-1)), 0.0])


def test_the_shortfall_looks_at_both_modalities() -> None:
    """Whichever modality is behind by 5, the shortfall is ln(1 + e^5 + e^-3)."""
    ahead, behind = torch.tensor([[0.0, 3.0]]), torch.tensor([[5.0, 0.0]])
    label = torch.tensor([1])
    expected = math.log(1 + math.exp(5) + math.exp(-3))
    assert float(margin_shortfalls(ahead, behind, label)) == pytest.approx(expected)
    assert float(margin_shortfalls(behind, ahead, label)) == pytest.approx(expected)


def test_the_ball_is_l2() -> None:
    with pytest.raises(ValidationError, match=r"crmt_at has one L2 ball; write threat=l2\(video=..., audio=...\)"):
        CRMTAT(threat=ThreatModel())


def test_a_classifier_without_scores_of_single_modalities_is_refused(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    with pytest.raises(ValueError, match="crmt_at widens the margins of each modality"):
        CRMTAT().prepare(model, batch, progress=0.0, generator=generator)(
            lambda video, audio: Outputs(model(video, audio).logits)
        )
