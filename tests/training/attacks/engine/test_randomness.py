from __future__ import annotations

import torch

from training.attacks.engine.randomness import clip_generator, normal_like, uniform_like


def test_noise_of_a_clip_depends_on_its_key_seed_and_purpose_only() -> None:
    generator = torch.Generator().manual_seed(0)
    both = uniform_like(torch.zeros(2, 5), ("a", "b"), generator, "start")
    alone = uniform_like(torch.zeros(1, 5), ("b",), generator, "start")
    assert torch.equal(both[1], alone[0])
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(alone, uniform_like(torch.zeros(1, 5), ("b",), generator, "step"))
    other_seed = torch.Generator().manual_seed(1)
    assert not torch.equal(alone, uniform_like(torch.zeros(1, 5), ("b",), other_seed, "start"))


def test_noise_fills_minus_one_to_one() -> None:
    noise = uniform_like(torch.zeros(1, 10_000), ("a",), torch.Generator(), "start")
    assert noise.min() < -0.99
    assert noise.max() > 0.99
    assert abs(float(noise.mean())) < 0.03


def test_drawing_for_a_clip_does_not_advance_the_generator() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    clip_generator(generator, "a", "start", torch.device("cpu"))
    assert torch.equal(generator.get_state(), before)


def test_normal_noise_has_mean_zero_and_deviation_one_by_clip() -> None:
    noise = normal_like(torch.zeros(2, 10_000), ("a", "b"), torch.Generator(), "start")
    assert noise.mean(1).abs().max() < 0.05
    assert (noise.std(1) - 1).abs().max() < 0.05
    assert not torch.equal(noise[0], noise[1])
