from __future__ import annotations

import torch

from training.models.fusion import SumFusion, build_fusion


def test_sum_adds_the_scores_of_two_linear_classifiers() -> None:
    fusion = SumFusion(feature_size=3, num_classes=2)
    video, audio = torch.rand(2, 5, 3)
    assert torch.equal(fusion(video, audio), fusion.video(video) + fusion.audio(audio))


def test_concat_can_represent_an_interaction_that_sum_cannot() -> None:
    """f(v, a) + f(v', a') - f(v, a') - f(v', a) is zero for every sum of two parts."""
    video, audio = torch.rand(2, 2, 4)
    for name, is_additive in (("sum", True), ("concat", False)):
        fusion = build_fusion(name, 4, 3)  # type: ignore[arg-type]
        mixed = fusion(video, audio).sum(0) - fusion(video, audio.flip(0)).sum(0)
        assert torch.allclose(mixed, torch.zeros(3), atol=1e-6) == is_additive
