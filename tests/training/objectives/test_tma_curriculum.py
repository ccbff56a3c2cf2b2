from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from tests.training.objectives.table import (
    GROWING,
)
from training.attacks import TMA
from training.batch import Batch
from training.crafting import Crafting
from training.models import Classifier
from training.objectives import (
    AWP,
    Objective,
    TMACurriculum,
)


def test_the_curriculum_sets_steps_budget_and_dropout(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    objective = TMACurriculum(curriculum=GROWING)
    objective.prepare(model, batch, progress=1.0, generator=generator)
    assert model.dropout.p == pytest.approx(0.3)
    assert objective.settings_at(0.5)["attack_steps"] == 2
    (attack,) = objective.attacks_at(0.5)
    assert isinstance(attack, TMA)
    assert (attack.steps, attack.random_start) == (2, True)


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_adaptive_curriculum_goes_on_with_the_history_and_costs_what_its_level_does(wrapped: bool) -> None:
    """A level of 1 or 4 steps on every segment, and the loss; awp looks once more."""
    steps = {"name": "adaptive", "levels": [1, 4], "patience": 1}
    inner = TMACurriculum.model_validate({"curriculum": {"attack_steps": steps, "sampling_ratio": 1}})
    objective: Objective = AWP(objective=inner) if wrapped else inner
    for history, expected in (([], 1), ([0.5], 1), ([0.5, 0.5], 4)):
        now = objective.for_next_epoch(history)
        assert now.settings_at(0.5)["attack_steps"] == expected
        assert now.cost(progress=0.5, num_segments=4).forward == expected + 1 + wrapped


def test_the_ratio_of_a_curriculum_is_set_in_one_place() -> None:
    with pytest.raises(ValidationError, match=r"crafting.sampling_ratio=0.5: the curriculum decides it"):
        TMACurriculum(crafting=Crafting(sampling_ratio=0.5))
