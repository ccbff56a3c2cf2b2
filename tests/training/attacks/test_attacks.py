"""What holds for every attack, under every threat model, on every kind of model: one table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from tests.training.attacks.table import (
    JOINT,
    MIXED,
    NUM_CLIPS,
    cost_where_nothing_is_fooled,
    every_attack,
)
from tests.training.attacks.targets import (
    MODELS,
    THREATS,
    Constant,
    Counted,
    Steadfast,
    classifier,
    random_clips,
)
from training.attacks import APGD, APGDT, VMIFGSM, Attack, Square, WorstCase
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel

CASES = [
    pytest.param(threat, model, marks=() if column % len(MODELS) == row % len(MODELS) else pytest.mark.slow)
    for row, model in enumerate(MODELS)
    for column, threat in enumerate(THREATS.values())
]
"""Every threat on every model; quick is the diagonal, on which each attack meets every threat and every model."""

every_case = pytest.mark.parametrize(("threat", "model"), CASES, ids=str)
both_kinds_of_threat = pytest.mark.parametrize("threat", [JOINT, pytest.param(MIXED, marks=pytest.mark.slow)], ids=str)


@dataclass(frozen=True)
class Run:
    """An attack's result, and what it must have left alone, before and after."""

    clean: Batch
    untouched: Batch
    """A copy of the clean clips from before the attack."""
    perturbed: Batch
    before: list[object]
    after: list[object]


@cache
def run(attack: Attack, threat: ThreatModel, model: str) -> Run:
    """Attack a model that is in training mode in parts, has gradients and frozen parameters."""
    network = MODELS[model]()
    parameters = list(network.parameters())
    parameters[0].grad = torch.ones_like(parameters[0])
    parameters[1].requires_grad_(False)
    next(network.modules()).training = False
    clean = random_clips(threat, NUM_CLIPS)
    untouched = random_clips(threat, NUM_CLIPS)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(), torch.no_grad():  # an attack needs gradients whatever its caller has switched off
        before = state(network, generator)
        perturbed = attack(network, clean, threat, generator)
        after = state(network, generator)
    return Run(clean, untouched, perturbed, before, after)


def state(network: nn.Module, generator: torch.Generator) -> list[object]:
    """All that an attack must leave as it is, in a form that can be compared."""
    parameters = list(network.parameters())
    return [
        [module.training for module in network.modules()],
        [parameter.requires_grad for parameter in parameters],
        [None if parameter.grad is None else parameter.grad.numpy().tobytes() for parameter in parameters],
        {name: value.numpy().tobytes() for name, value in network.state_dict().items()},
        torch.get_rng_state().numpy().tobytes(),
        generator.get_state().numpy().tobytes(),
        torch.is_grad_enabled(),
    ]


@every_attack
@every_case
def test_perturbed_clips_are_finite_and_lie_inside_ball_and_box(
    attack: Attack, threat: ThreatModel, model: str
) -> None:
    found = run(attack, threat, model)
    for name, distance in threat.distances(found.perturbed, found.clean).items():
        stream = found.perturbed.stream(name)
        low, high = threat.box(name)
        assert stream.isfinite().all()
        assert stream.min() >= low
        assert stream.max() <= high
        assert distance.max() <= threat.epsilon(name) * (1 + 1e-12)
        assert not stream.requires_grad
        assert stream.dtype == torch.float64


@every_attack
@every_case
def test_what_has_no_budget_is_untouched_bit_for_bit_and_the_rest_moves(
    attack: Attack, threat: ThreatModel, model: str
) -> None:
    found = run(attack, threat, model)
    for name in MODALITIES:
        is_same = (found.perturbed.stream(name) == found.clean.stream(name)).flatten(2).all(2)
        may_move = torch.zeros(4, dtype=torch.bool)
        if threat.epsilon(name) > 0:
            may_move[list(threat.segments) if threat.segments else slice(None)] = True
        assert is_same[:, ~may_move].all()
        assert not (is_same | ~may_move).all(1).any() or not may_move.any()


@every_attack
@every_case
def test_clean_clips_model_and_random_state_are_left_as_found(attack: Attack, threat: ThreatModel, model: str) -> None:
    found = run(attack, threat, model)
    assert found.before == found.after
    for name in MODALITIES:
        assert torch.equal(found.clean.stream(name), found.untouched.stream(name))
    for one in ("keys", "labels", "targets"):
        assert getattr(found.perturbed, one) is getattr(found.clean, one)


@every_attack
def test_the_model_is_left_as_found_after_an_exception_too(attack: Attack) -> None:
    last = cost_where_nothing_is_fooled(attack).forward
    network = Counted(classifier(), fails_at=last)
    clip = random_clips(JOINT, 1)
    generator = torch.Generator().manual_seed(0)
    before = state(network, generator)
    steadfast = Steadfast(network, clip.labels)
    with pytest.raises(RuntimeError, match="out of memory"):
        attack(steadfast, clip, JOINT, generator)
    assert state(network, generator) == before


@every_attack
def test_zero_budget_is_the_identity(attack: Attack) -> None:
    clean = random_clips(JOINT, NUM_CLIPS)
    perturbed = attack(MODELS["concat"](), clean, ThreatModel(video=0, audio=0), torch.Generator())
    assert torch.equal(perturbed.video, clean.video)
    assert torch.equal(perturbed.audio, clean.audio)


@every_attack
@both_kinds_of_threat
def test_a_clip_gets_the_same_perturbation_alone_in_sevens_and_among_32_in_any_order(
    attack: Attack, threat: ThreatModel
) -> None:
    network = MODELS["concat"]()
    whole = random_clips(threat, 32)
    generator = torch.Generator().manual_seed(0)
    together = attack(network, whole, threat, generator)
    for rows in (torch.arange(31, 31 - 7, -1), torch.tensor([3]), torch.tensor([30])):
        other = attack(network, whole.select(rows), threat, generator)
        for name in MODALITIES:
            assert torch.allclose(other.stream(name), together.stream(name)[rows], atol=1e-9)


@every_attack
def test_the_seed_decides_the_result(attack: Attack) -> None:
    clips = random_clips(JOINT, NUM_CLIPS)
    network = MODELS["concat"]()
    first, again, other = (
        attack(network, clips, JOINT, torch.Generator().manual_seed(seed)).video for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert torch.equal(first, other) != is_random(attack)


def is_random(attack: Attack) -> bool:
    """Whether the settings ask for random starts, targets, directions, queries or copies."""
    if isinstance(attack, WorstCase):
        return any(is_random(member) for member in attack.attacks)
    is_drawn = isinstance(attack, APGD | APGDT | Square | VMIFGSM) or getattr(attack, "target", "none") == "random"
    is_drawn |= any(transform.name in ("di", "admix") for transform in getattr(attack, "input_transforms", ()))
    return is_drawn or bool(getattr(attack, "random_start", False)) or getattr(attack, "copies_per_step", 0) > 0


@every_attack
@pytest.mark.parametrize("factor", [0.0, float("nan"), float("inf")])
def test_clips_without_a_usable_gradient_move_all_the_same(attack: Attack, factor: float) -> None:
    clips = random_clips(JOINT, NUM_CLIPS)
    perturbed = attack(Constant(factor), clips, JOINT, torch.Generator().manual_seed(0))
    for name, distance in JOINT.distances(perturbed, clips).items():
        assert perturbed.stream(name).isfinite().all()
        assert distance.min() > 0


@every_attack
def test_single_precision_stays_inside_the_budget_to_the_last_digit(attack: Attack) -> None:
    network = MODELS["concat"]().float()
    double = random_clips(JOINT, NUM_CLIPS)
    clips = double.with_streams(double.video.float(), double.audio.float())
    perturbed = attack(network, clips, JOINT, torch.Generator().manual_seed(0))
    for name, distance in JOINT.distances(perturbed, clips).items():
        assert perturbed.stream(name).dtype == torch.float32
        assert distance.max() <= JOINT.epsilon(name) + 2**-24


@every_attack
def test_batch_statistics_are_used_and_kept_as_they_are(attack: Attack) -> None:
    network = nn.Sequential(nn.BatchNorm2d(3)).double().train()

    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.norm = classifier(), network

        def forward(self, video: Tensor, audio: Tensor) -> object:
            return self.model(self.norm(video.flatten(0, 1)).unflatten(0, video.shape[:2]), audio)

    before = {name: value.clone() for name, value in network.state_dict().items()}
    attack(Normalised().train(), random_clips(JOINT, 2), JOINT, torch.Generator())
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
