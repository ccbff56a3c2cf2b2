from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from training.models.fusion import FilmFusion, FusionName, GatedFusion, SumFusion, build_fusion

FUSIONS: tuple[FusionName, ...] = get_args(FusionName)


def test_sum_adds_the_scores_of_two_linear_classifiers() -> None:
    fusion = SumFusion(feature_size=3, num_classes=2)
    video, audio = torch.rand(2, 5, 3)
    assert torch.equal(fusion(video, audio), fusion.video(video) + fusion.audio(audio))


@pytest.mark.parametrize("name", FUSIONS)
def test_all_but_sum_can_represent_an_interaction(name: FusionName) -> None:
    """f(v, a) + f(v', a') - f(v, a') - f(v', a) is zero for every sum of two parts."""
    video, audio = torch.rand(2, 2, 4)
    fusion = build_fusion(name, 4, 3)
    mixed = fusion(video, audio).sum(0) - fusion(video, audio.flip(0)).sum(0)
    assert torch.allclose(mixed, torch.zeros(3), atol=1e-6) == (name == "sum")


@pytest.mark.parametrize("name", FUSIONS)
def test_one_modality_alone_can_be_told_apart(name: FusionName) -> None:
    """Scores of one modality, the other's features zero, still depend on it."""
    fusion, features, silent = build_fusion(name, 4, 3), torch.rand(5, 4), torch.zeros(5, 4)
    for scores in (fusion(features, silent), fusion(silent, features)):
        assert (scores - scores[0]).abs()[1:].amax(1).min() > 1e-5


def test_film_scales_by_one_plus_gamma_and_shifts_by_beta() -> None:
    """One feature, gamma = 2a, beta = 3a, identity classifier: v = 5, a = 0.5 gives (1 + 1) 5 + 1.5 = 11.5."""
    fusion = FilmFusion(feature_size=1, num_classes=1)
    fusion.load_state_dict(
        {
            "modulation.weight": torch.tensor([[2.0], [3.0]]),
            "modulation.bias": torch.zeros(2),
            "classes.weight": torch.ones(1, 1),
            "classes.bias": torch.zeros(1),
        }
    )
    assert fusion(torch.tensor([[5.0]]), torch.tensor([[0.5]])).item() == pytest.approx(11.5)


def test_a_gate_weighs_the_modalities_to_one() -> None:
    """z = sigmoid(ln 3) = 3/4 at v = 1, a = 2: h = 3/4 tanh 1 + 1/4 tanh 2 = 0.5712 + 0.2410 = 0.8122."""
    fusion = GatedFusion(feature_size=1, num_classes=1)
    fusion.load_state_dict(
        {
            "video.weight": torch.ones(1, 1),
            "audio.weight": torch.ones(1, 1),
            "gate.weight": torch.tensor([[math.log(3), 0.0]]),
            "classes.weight": torch.ones(1, 1),
            "classes.bias": torch.zeros(1),
        }
    )
    assert fusion(torch.tensor([[1.0]]), torch.tensor([[2.0]])).item() == pytest.approx(0.8122, abs=1e-4)


def test_a_gated_modality_without_features_adds_nothing_of_its_own() -> None:
    """With zero sound h = sigmoid(Z [v, 0]) tanh(V v), whatever the sound's own weights are."""
    fusion, video = GatedFusion(feature_size=4, num_classes=3), torch.rand(5, 4)
    before = fusion(video, torch.zeros(5, 4))
    torch.nn.init.constant_(fusion.audio.weight, 7.0)
    assert torch.equal(fusion(video, torch.zeros(5, 4)), before)
