"""What holds for every objective."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from pydantic import TypeAdapter

from training.attacks import MIFGSM, PGD, TMA
from training.batch import Batch
from training.curriculum import Constant, Curriculum, Linear
from training.models import Classifier
from training.objectives import PGDAT, AnyObjective, Objective, Standard, TMACurriculum

FULL = Curriculum(
    attack_steps=Linear(start=1, end=3),
    sampling_ratio=Linear(start=0.25, end=1.0),
    mask_ratio=Linear(start=0.0, end=0.5),
    dropout_ratio=Linear(start=0.0, end=0.3),
    epsilon_factor=Linear(start=0.5, end=1.0),
)
OBJECTIVES: list[tuple[Objective, list[int]]] = [
    # with the frames that pass through the video encoder at progress 0 and 1, per clip of four segments
    (Standard(), [4, 4]),
    (PGDAT(attack=PGD(steps=2)), [3 * 4, 3 * 4]),
    (TMACurriculum(curriculum=FULL), [1 + 4, 3 * 4 + 4]),
    (TMACurriculum(attack=MIFGSM(), curriculum=Curriculum(attack_steps=Constant(value=2))), [2 + 4, 2 + 4]),
]
every_objective = pytest.mark.parametrize(("objective", "frames"), OBJECTIVES, ids=lambda value: str(value)[:60])


def test_the_table_holds_every_objective() -> None:
    assert {type(objective) for objective, _ in OBJECTIVES} == set(get_args(get_args(AnyObjective)[0]))


@every_objective
def test_an_objective_is_its_settings(objective: Objective, frames: list[int]) -> None:
    assert TypeAdapter(AnyObjective).validate_python(objective.model_dump()) == objective


@every_objective
@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_the_loss_reaches_every_parameter_and_costs_what_it_says(
    objective: Objective,
    frames: list[int],
    progress: float,
    model: Classifier,
    batch: Batch,
    generator: torch.Generator,
) -> None:
    model.train()
    seen: list[int] = []
    model.video_encoder.register_forward_hook(lambda _, arguments, __: seen.append(len(arguments[0])))
    before = batch.video.clone()
    loss = objective(model, batch, progress=progress, generator=generator)
    assert loss.total.shape == ()
    assert all(not part.requires_grad and part.isfinite() for part in loss.parts.values())
    torch.autograd.backward(loss.total)
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(module.training for module in model.modules())
    assert torch.equal(batch.video, before)
    assert sum(seen) == len(batch) * frames[int(progress)]


@every_objective
def test_the_generator_s_seed_decides_the_loss(
    objective: Objective, frames: list[int], model: Classifier, batch: Batch
) -> None:
    losses = []
    for _ in range(2):
        torch.manual_seed(0)  # dropout alone draws from the global state
        seeded = torch.Generator().manual_seed(3)
        losses.append(objective(model, batch, progress=0.5, generator=seeded).total)
    assert torch.equal(*losses)


def test_adversarial_losses_are_higher_than_the_clean_one(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    model.eval()
    clean, pgd, tma = (
        float(objective(model, batch, progress=1.0, generator=generator).total.detach())
        for objective in (Standard(), PGDAT(), TMACurriculum())
    )
    assert clean < tma
    assert clean < pgd


def test_the_curriculum_sets_steps_budget_and_dropout(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    objective = TMACurriculum(curriculum=FULL)
    objective(model, batch, progress=1.0, generator=generator)
    assert model.dropout.p == pytest.approx(0.3)
    assert objective.settings_at(0.5)["attack_steps"] == 2
    attack = objective.attack_with(steps=2)
    assert isinstance(attack, TMA)
    assert (attack.steps, attack.random_start) == (2, True)


def test_the_curriculum_crafts_by_settings_that_defaults_of_attacks_do_not_move() -> None:
    """What transfers best to other models and what trains best are chosen apart."""
    named = TMACurriculum().attack.model_dump()
    expected = {
        "temporal_weight": 0.1,
        "modality_weight": 0.3,
        "temporal": "consecutive",
        "features": "normalised",
        "agreement": "means",
        "combination": "normalised",
        "loss": "cross_entropy",
        "momentum": 0.0,
        "random_start": True,
        "sharing": {"segments": 1, "of": "gradient"},
    }
    assert {name: named[name] for name in expected} == expected
    assert set(expected) <= TMACurriculum().attack.model_fields_set
