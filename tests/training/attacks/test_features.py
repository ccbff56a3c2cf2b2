from __future__ import annotations

import pytest
import torch

from training.attacks.features import Weights, modality_agreement, tempered_gradient, temporal_variation
from training.batch import MODALITIES, Batch
from training.models import Classifier


def test_temporal_variation_of_a_right_angle_is_two() -> None:
    """Unit vectors (1, 0) and (0, 1) are sqrt(2) apart at any length; the sound stands still: mean 1."""
    video = torch.tensor([[[2.0, 0.0], [0.0, 5.0]]])
    audio = torch.tensor([[[1.0, 1.0], [3.0, 3.0]]])
    assert temporal_variation(video, audio).tolist() == pytest.approx([1.0])
    assert temporal_variation(video, video).tolist() == pytest.approx([2.0])


def test_modality_agreement_is_a_cosine_of_means() -> None:
    """Directions average to (1, 1) / 2 in the picture; sound points along (1, 0): cosine 45 degrees."""
    video = torch.tensor([[[2.0, 0.0], [0.0, 5.0]]])
    audio = torch.tensor([[[3.0, 0.0], [1.0, 0.0]]])
    assert modality_agreement(video, audio).tolist() == pytest.approx([0.5**0.5])
    assert modality_agreement(audio, -audio).tolist() == pytest.approx([-1.0])


def test_terms_are_differentiable_by_finite_differences() -> None:
    source = torch.Generator().manual_seed(0)
    features = [torch.randn(2, 3, 4, generator=source, dtype=torch.float64).requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(temporal_variation, features)
    assert torch.autograd.gradcheck(modality_agreement, features)


def test_unit_gradients_let_no_term_drown_another(model: Classifier, batch: Batch) -> None:
    """Scaling the logits up makes the cross-entropy's gradient tiny: the plain sum then follows L_M alone.

    The combined direction must stay close to the cross-entropy's own under `normalised` and not under `weighted`.
    """
    model.eval()
    confident = model(batch.video, batch.audio).logits.argmax(1)
    right = Batch(batch.video, batch.audio, confident, batch.keys)
    with torch.no_grad():
        for parameter in list(model.fusion.parameters())[-2:]:
            parameter.mul_(30.0)

    def direction(weight: float, combination: str) -> torch.Tensor:
        compute = tempered_gradient(Weights(temporal=0.0, modality=weight), combination=combination)  # type: ignore[arg-type]
        gradients = torch.cat(
            [gradient.flatten(1) for gradient in compute(model, right, MODALITIES).streams.values()], 1
        )
        return gradients / gradients.abs().amax(1, keepdim=True)

    plain = direction(0.0, "weighted")
    assert plain.isfinite().all()
    normalised, weighted = (
        torch.cosine_similarity(direction(0.3, combination), plain, dim=1) for combination in ("normalised", "weighted")
    )
    assert normalised.median() > 0.8
    assert weighted.median() < 0.5
