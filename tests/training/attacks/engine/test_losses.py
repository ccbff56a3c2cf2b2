from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.attacks.engine.losses import LossName, TargetChoice, attack_loss, choose_targets, margin, slope_at_logits
from training.batch import Batch

EVERY_LOSS: tuple[LossName, ...] = ("cross_entropy", "margin", "dlr", "probability")
LABELS = (0, 1, 3)
TARGETS = (2, 4, 0)
every_loss = pytest.mark.parametrize("loss", EVERY_LOSS)
aimed_or_not = pytest.mark.parametrize("targets", [None, TARGETS], ids=["untargeted", "targeted"])


def of_classes(labels: tuple[int, ...] = LABELS, targets: tuple[int, ...] | None = None) -> Batch:
    """Clips without content: losses look at labels and targets only."""
    count = len(labels)
    keys = tuple(f"clip_{number}" for number in range(count))
    aims = None if targets is None else torch.tensor(targets)
    return Batch(torch.zeros(count, 1, 3, 1, 1), torch.zeros(count, 1, 1, 1), torch.tensor(labels), keys, aims)


@pytest.fixture
def logits() -> Tensor:
    """Three clips, five classes."""
    return 2.0 * torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_margin_is_the_best_wrong_logit_minus_the_right_one() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0], [0.0, 5.0, 1.0]])
    assert margin(scores, of_classes((0, 1))).tolist() == [2.0, -4.0]


def test_targeted_margin_is_the_target_minus_the_best_other() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0], [0.0, 5.0, 1.0]])
    assert margin(scores, of_classes((0, 0), (2, 1))).tolist() == [-1.0, 4.0]


def test_dlr_of_worked_numbers() -> None:
    """Ranked 5, 3, 2, 1 with label 5: (3 - 5) / (5 - 2). Towards the 1: (1 - 5) / (5 - (2 + 1) / 2)."""
    scores = torch.tensor([[5.0, 3.0, 2.0, 1.0]])
    assert attack_loss(scores, of_classes((0,)), "dlr").tolist() == pytest.approx([-2 / 3])
    assert attack_loss(scores, of_classes((0,), (3,)), "dlr").tolist() == pytest.approx([-4 / 3.5])


@aimed_or_not
def test_dlr_ignores_a_shift_and_a_positive_scale_of_the_logits(
    logits: Tensor, targets: tuple[int, ...] | None
) -> None:
    clips = of_classes(targets=targets)
    assert torch.allclose(attack_loss(7.0 * logits - 3.0, clips, "dlr"), attack_loss(logits, clips, "dlr"))


@pytest.mark.parametrize(("targets", "needed"), [(None, 3), ((1,), 4)])
def test_dlr_says_how_many_classes_it_needs(targets: tuple[int, ...] | None, needed: int) -> None:
    with pytest.raises(ValueError, match=f"at least {needed} classes here, the model has {needed - 1}"):
        attack_loss(torch.zeros(1, needed - 1), of_classes((0,), targets), "dlr")


@every_loss
@aimed_or_not
def test_the_slope_is_the_gradient_that_autograd_finds(
    loss: LossName, logits: Tensor, targets: tuple[int, ...] | None
) -> None:
    clips = of_classes(targets=targets)
    slope, log_scale = slope_at_logits(logits, clips, loss)
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(attack_loss(leaf, clips, loss).sum(), leaf)
    assert torch.allclose(slope * log_scale.exp()[:, None], expected, atol=1e-12)
    assert torch.allclose(slope.abs().amax(1), torch.ones(3, dtype=torch.float64))


@every_loss
@aimed_or_not
def test_losses_are_differentiable_by_finite_differences(
    loss: LossName, logits: Tensor, targets: tuple[int, ...] | None
) -> None:
    clips = of_classes(targets=targets)
    assert torch.autograd.gradcheck(lambda scores: attack_loss(scores, clips, loss), logits.requires_grad_())


def test_the_cross_entropy_keeps_its_slope_where_the_right_class_has_rounded_to_certainty() -> None:
    """1 - p_y is about e^-200: autograd returns zeros, the slope is still (-1, 1 / (1 + e^-1), e^-1 / (1 + e^-1))."""
    scores = torch.tensor([[200.0, 0.0, -1.0]])
    clips = of_classes((0,))
    leaf = scores.clone().requires_grad_()
    (lost,) = torch.autograd.grad(attack_loss(leaf, clips, "cross_entropy").sum(), leaf)
    assert lost.count_nonzero() == 0
    slope, log_scale = slope_at_logits(scores, clips, "cross_entropy")
    share = 1.0 / (1.0 + math.exp(-1.0))
    assert slope[0].tolist() == pytest.approx([-1.0, share, 1.0 - share])
    assert log_scale.tolist() == pytest.approx([math.log1p(math.exp(-1.0)) - 200.0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_slopes_keep_the_type_of_the_logits_and_the_precision_of_single(dtype: torch.dtype) -> None:
    scores = torch.tensor([[30.0, 0.0, -1.0]], dtype=dtype)
    slope, log_scale = slope_at_logits(scores, of_classes((0,)), "cross_entropy")
    assert slope.dtype == dtype
    assert (slope != 0).all()
    assert log_scale.dtype == torch.float32
    assert float(log_scale) < -29


@pytest.mark.parametrize(("rule", "expected"), [("least_likely", 2), ("runner_up", 3)])
def test_targets_are_ranked_among_the_wrong_classes(rule: TargetChoice, expected: int) -> None:
    scores = torch.tensor([[9.0, 1.0, -5.0, 4.0]])
    chosen = choose_targets(rule, scores, of_classes((0,)), torch.Generator())
    assert chosen is not None
    assert chosen.tolist() == [expected]
    lowest = choose_targets("least_likely", scores, of_classes((2,)), torch.Generator())
    assert lowest is not None
    assert lowest.tolist() == [1]


def test_random_targets_are_wrong_classes_decided_by_seed_and_key() -> None:
    clips = of_classes(tuple(number % 5 for number in range(200)))
    scores = torch.zeros(200, 5)
    first, again, other = (
        choose_targets("random", scores, clips, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert first is not None
    assert again is not None
    assert other is not None
    assert (first != clips.labels).all()
    assert set(((first - clips.labels) % 5).tolist()) == {1, 2, 3, 4}
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
