"""The passes that every attack takes, and what more of them, or a larger budget, buys."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from evaluation.attack_lists import attack_label
from tests.training.attacks.table import ATTACKS, JOINT, cost_where_nothing_is_fooled, every_attack
from tests.training.attacks.targets import Counted, Steadfast, classifier, random_clips
from tests.training.attacks.trained import trained_classifier
from training.attacks import FGSM, Attack, MinimalBudget, Square, WorstCase
from training.batch import Batch
from training.models import Classifier


@every_attack
def test_an_attack_costs_what_it_says_and_no_pass_more(attack: Attack) -> None:
    """On a model that is never fooled; every clip is seen equally often."""
    clips = random_clips(JOINT, 3)
    clips = Batch(clips.video, clips.audio, torch.zeros_like(clips.labels), clips.keys, clips.targets)
    counted = Counted(Steadfast(classifier(), clips.labels))
    attack(counted, clips, JOINT, torch.Generator().manual_seed(0))
    assert counted.forward_passes == 3 * cost_where_nothing_is_fooled(attack).forward
    assert counted.backward_passes == 3 * cost_where_nothing_is_fooled(attack).backward


@every_attack
def test_a_larger_budget_never_helps_the_defender(attack: Attack) -> None:
    network, clips = few_clips()
    right = [
        int(is_right(network, attack(network, clips, JOINT.scaled(factor), torch.Generator()), clips).sum())
        for factor in (0.0, 1.0, 4.0, 16.0)
    ]
    assert right == sorted(right, reverse=True)
    assert right[-1] < right[0]


ATTACKS_WITH_STEPS = [attack for attack in ATTACKS if "steps" in type(attack).model_fields]


def test_all_attacks_have_steps_but_those_that_are_named_here() -> None:
    without = {type(attack) for attack in ATTACKS} - {type(attack) for attack in ATTACKS_WITH_STEPS}
    assert without == {FGSM, MinimalBudget, Square, WorstCase}


@pytest.mark.parametrize("attack", ATTACKS_WITH_STEPS, ids=attack_label)
def test_more_steps_never_help_the_defender(attack: Attack) -> None:
    network, clips = few_clips()
    right = []
    for steps in (1, 8):
        longer = type(attack).model_validate(attack.model_dump() | {"steps": steps})
        right.append(int(is_right(network, longer(network, clips, JOINT, torch.Generator()), clips).sum()))
    assert right == sorted(right, reverse=True)


def few_clips() -> tuple[Classifier, Batch]:
    """A classifier that has learned its task, and 24 clips that it mostly gets right."""
    network, clips = trained_classifier()
    return network, clips.select(torch.arange(24))


def is_right(network: nn.Module, perturbed: Batch, clean: Batch) -> Tensor:
    """Which clips the model still names rightly."""
    with torch.no_grad():
        right: Tensor = network(perturbed.video, perturbed.audio).logits.argmax(1) == clean.labels
    return right
