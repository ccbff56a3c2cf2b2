from __future__ import annotations

import pytest
import torch
from jaxtyping import Float
from pydantic import ValidationError
from torch import Tensor

from evaluation.attack_lists import attack_label
from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.table import ATTACKS
from tests.training.attacks.targets import classifier, random_clips
from training.attacks import FGSM, PGD, Attack
from training.batch import Batch, per_clip
from training.norms import L2, NORMS, Linf, Norm
from training.threat import ThreatModel

DELTA = torch.tensor([[[3.0, -4.0]], [[0.0, 0.5]]], dtype=torch.float64)
"""Two clips: largest values 4 and 0.5, Euclidean lengths 5 and 0.5."""


class L1(Norm):
    """The sum of all absolute changes: a norm that the package does not have, written as a user would add it."""

    def length(self, delta: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        return delta.flatten(1).abs().sum(1)

    def into_ball(self, delta: Float[Tensor, "batch *shape"], epsilon: float) -> Float[Tensor, "batch *shape"]:
        """Every size lowered by the same amount, down to 0 (Duchi et al. 2008, Figure 1)."""
        sizes = delta.flatten(1).abs()
        ranked = sizes.sort(dim=1, descending=True).values
        excess = (ranked.cumsum(1) - epsilon) / torch.arange(1, sizes.shape[1] + 1)
        last = (ranked > excess).sum(1, keepdim=True).clamp_min(1) - 1
        lowered = (sizes - excess.gather(1, last).clamp_min(0)).clamp_min(0)
        return delta.sign() * lowered.reshape(delta.shape)

    def steepest(self, gradient: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """The one value with the largest slope takes the whole step."""
        sizes = gradient.flatten(1).abs()
        chosen = torch.zeros_like(sizes).scatter(1, sizes.argmax(1, keepdim=True), 1.0)
        return gradient.sign() * chosen.reshape(gradient.shape)


@pytest.fixture
def l1_threat(monkeypatch: pytest.MonkeyPatch) -> ThreatModel:
    monkeypatch.setitem(NORMS, "l1", L1())
    return ThreatModel.model_validate("l1(video=6, audio=3, segments=0-2)")


@pytest.mark.parametrize(
    ("norm", "lengths", "shortened", "steepest"),
    [
        (Linf(), [4.0, 0.5], [[1.0, -1.0], [0.0, 0.5]], [[1.0, -1.0], [0.0, 1.0]]),
        (L2(), [5.0, 0.5], [[0.6, -0.8], [0.0, 0.5]], [[0.6, -0.8], [0.0, 1.0]]),
        (L1(), [7.0, 0.5], [[0.0, -1.0], [0.0, 0.5]], [[0.0, -1.0], [0.0, 1.0]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_length_nearest_point_of_the_unit_ball_and_steepest_step_are_worked_out_by_hand(
    norm: Norm, lengths: list[float], shortened: list[list[float]], steepest: list[list[float]]
) -> None:
    assert norm.length(DELTA).tolist() == lengths
    for found, expected in ((norm.into_ball(DELTA, 1.0), shortened), (norm.steepest(DELTA), steepest)):
        torch.testing.assert_close(found[:, 0], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("norm", "length"), [(Linf(), 1.0), (L2(), 12.0), (L1(), 144.0)], ids=type)
def test_144_values_of_size_1_are_so_long(norm: Norm, length: float) -> None:
    assert norm.length_of_ones(144) == length


@pytest.mark.parametrize("norm", [*NORMS.values(), L1()], ids=type)
def test_no_random_change_is_longer_than_1_and_no_gradient_is_no_step(norm: Norm) -> None:
    noise = 2 * torch.rand(5, 4, 3, generator=torch.Generator().manual_seed(0)) - 1
    assert norm.length(norm.random_change(noise)).max() <= 1 + 1e-6
    assert norm.length(norm.random_change(noise)).min() > 0.5
    assert not norm.steepest(torch.zeros_like(noise)).any()
    assert not norm.unit(torch.zeros_like(noise)).any()


@pytest.mark.parametrize("norm", [*NORMS.values(), L1()], ids=type)
def test_no_change_of_length_1_gains_more_than_the_steepest(norm: Norm) -> None:
    """<g, steepest(g)> is the largest <g, d> over all d of length 1: tried with 1,000 of them."""
    source = torch.Generator().manual_seed(0)
    gradient = torch.randn(1, 6, generator=source, dtype=torch.float64)
    others = norm.unit(torch.randn(1000, 6, generator=source, dtype=torch.float64))
    assert norm.length(norm.steepest(gradient)).item() == pytest.approx(1.0)
    assert float((gradient * norm.steepest(gradient)).sum()) >= float((gradient * others).sum(1).max())


def test_a_norm_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValidationError, match="got 'l1'; allowed: linf, l2"):
        ThreatModel(norm="l1")


def test_a_new_norm_is_one_class_and_its_name_is_written_like_the_others(l1_threat: ThreatModel) -> None:
    assert str(l1_threat) == "l1(video=6, audio=3, segments=0-2)"
    assert l1_threat == ThreatModel(norm="l1", video=6.0, audio=3.0, segments=(0, 1, 2))


@pytest.mark.parametrize("attack", ATTACKS, ids=attack_label)
def test_every_attack_stays_inside_the_ball_of_a_new_norm_and_moves(attack: Attack, l1_threat: ThreatModel) -> None:
    """Far from the box: there the one value that an L1 step moves might have no room left."""
    noise = random_clips(l1_threat, 3)
    clean = noise.with_streams(0.25 + 0.5 * noise.video, 0.25 + 0.5 * noise.audio)
    perturbed = attack(classifier(), clean, l1_threat, torch.Generator().manual_seed(0))
    for name, distance in l1_threat.distances(perturbed, clean).items():
        assert distance.max() <= l1_threat.epsilon(name) * (1 + 1e-12)
        assert distance.min() > 0
        assert torch.equal(perturbed.stream(name)[:, 3], clean.stream(name)[:, 3])


@pytest.mark.parametrize("attack", [FGSM(), PGD(steps=4, random_start=False)], ids=attack_label)
def test_on_a_linear_model_the_optimum_of_a_new_norm_is_one_value_with_the_whole_budget(
    attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score <w, x> falls fastest at x - epsilon sign(w_i) e_i, i the largest weight."""
    monkeypatch.setitem(NORMS, "l1", L1())
    threat, model = ThreatModel(norm="l1", video=0.25, audio=0.125), LinearClassifier()
    clips = Batch(
        torch.full((2, 4, 3, 16, 16), 0.5), torch.full((2, 4, 16, 16), 0.5), torch.zeros(2).long(), ("one", "two")
    )
    perturbed = attack(model, clips, threat, torch.Generator())
    for weight, stream, epsilon in ((model.video, perturbed.video, 0.25), (model.audio, perturbed.audio, 0.125)):
        place = int(weight.abs().argmax())
        expected = torch.zeros_like(weight)
        expected[place] = -epsilon * weight[place].sign()
        torch.testing.assert_close(stream.flatten(1) - 0.5, expected.expand(2, -1), rtol=0, atol=1e-6)


def test_a_value_that_has_a_budget_of_its_own_is_a_property_of_linf_alone() -> None:
    assert [norm.is_per_value for norm in (Linf(), L2(), L1())] == [True, False, False]
    assert per_clip(torch.ones(2), DELTA).shape == (2, 1, 1)
