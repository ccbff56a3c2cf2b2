"""Objectives and the balls that they defend."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from pipeline.settings.load import ConfigError, load
from tests.training.objectives.table import (
    ROWS,
    SHARED,
    gradients,
    named,
    normalise_by_batch,
    run,
    shown,
    threat_of,
)
from training.attacks import PGD
from training.batch import Batch
from training.config import TrainConfig
from training.crafting import Crafting
from training.curriculum.curriculum import AttackShare, FullCurriculum
from training.curriculum.schedules import Constant
from training.models import Classifier
from training.objectives import (
    AWP,
    CRMTAT,
    MART,
    NFGSM,
    PGDAT,
    TMAAT,
    TRADES,
    FastAT,
    Objective,
    Standard,
    TMACurriculum,
)
from training.objectives.crafting_objective import CraftingObjective
from training.threat import ThreatModel

THREATS = ["linf(video=4/255, audio=0)", "l2(video=0.3, waveform=0.2, segments=0-1+3)"]


def with_threat(objective: Objective, threat: ThreatModel) -> Objective:
    changes: dict[str, Any] = {"threat": threat}
    if isinstance(objective, AWP):
        changes = {"objective": objective.objective.model_dump() | changes}
    return type(objective).model_validate(objective.model_dump() | changes)


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        pytest.param(row, text, id=f"{named(row)}-{text}")
        for row in ROWS
        for text in THREATS
        if threat_of(row) is not None and not (isinstance(row, CRMTAT) and text.startswith("linf"))
    ],
)
def test_the_weights_learn_from_clips_inside_the_threat(
    objective: Objective, text: str, model: Classifier, batch: Batch
) -> None:
    """What the model is shown in training mode; N-FGSM goes 2 + 1 times as far, the curriculum blanks segments."""
    threat = ThreatModel.model_validate(text)
    if threat.audio_domain == "waveform":
        sound = torch.rand(7, 4, 2560, generator=torch.Generator().manual_seed(5)) * 2 - 1
        batch = replace(batch, audio=sound)
    if isinstance(objective, TMACurriculum):
        calm = FullCurriculum.model_validate(objective.curriculum.model_dump() | {"mask_ratio": 0, "epsilon_factor": 1})
        objective = TMACurriculum(curriculum=calm, crafting=objective.crafting)
    clips_shown = shown(with_threat(objective, threat), model, batch)
    reach = threat.scaled(3.0) if isinstance(objective, NFGSM) else threat
    assert len(clips_shown) == objective.updates * (2 if isinstance(objective, AWP) else 1)
    for clips in clips_shown:
        for name, distances in reach.distances(clips, batch).items():
            assert (distances <= reach.epsilon(name) * (1 + 1e-5)).all()
            low, high = threat.box(name)
            assert clips.stream(name).min() >= low
            assert clips.stream(name).max() <= high
            untouched = (~threat.support(clips.stream(name))).flatten()
            assert torch.equal(clips.stream(name)[:, untouched], batch.stream(name)[:, untouched])
            if threat.epsilon(name) > 0:
                assert (distances > 0).all()
            else:
                assert torch.equal(clips.stream(name), batch.stream(name))


def test_adversarial_losses_are_higher_than_the_clean_one(model: Classifier, batch: Batch) -> None:
    model.eval()
    threat = ThreatModel()
    attacking = [PGDAT(), FastAT(), NFGSM(), TRADES(), MART(), TMAAT(), TMACurriculum(), AWP()]
    clean, *attacked = (run(objective, model, batch, progress=1.0)[0] for objective in (Standard(), *attacking))
    assert all(total > clean for total in attacked)
    assert all(threat_of(objective) == threat for objective in attacking)


PEERS: list[CraftingObjective] = [FastAT(), NFGSM(), PGDAT(), TRADES(), MART(), TMAAT(), CRMTAT()]
"""Objectives with a curriculum of which nothing is set."""


def growing(objective: CraftingObjective, **schedules: object) -> CraftingObjective:
    """The objective with a curriculum of these schedules, of steps only where it has any."""
    known = {name: each for name, each in schedules.items() if name in type(objective.curriculum).model_fields}
    return type(objective).model_validate(objective.model_dump() | {"curriculum": known})


@pytest.mark.parametrize("objective", PEERS, ids=named)
def test_a_curriculum_of_what_is_set_anyway_changes_no_bit(
    objective: CraftingObjective, model: Classifier, batch: Batch
) -> None:
    """Gradients of a model with batch normalisation and dropout, and its statistics."""
    normalise_by_batch(model)
    model.train()
    fresh = deepcopy(model.state_dict())
    steps = getattr(objective, "attack", PGD()).steps
    constant = growing(
        objective, epsilon_factor=1, sampling_ratio=objective.crafting.sampling_ratio, attack_steps=steps
    )
    assert objective.settings_at(0.5) == {}
    assert constant.settings_at(0.5)["epsilon_factor"] == 1.0
    found = []
    for each in (objective, constant):
        model.load_state_dict(fresh)
        model.zero_grad()
        run(each, model, batch, progress=0.5)
        found.append(gradients(model) | dict(model.named_buffers()))
        found[-1] = {name: value.clone() for name, value in found[-1].items()}
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.mark.parametrize("objective", PEERS, ids=named)
def test_the_schedules_reach_budget_segments_and_steps(
    objective: CraftingObjective, model: Classifier, batch: Batch
) -> None:
    """Half of the way from 1 to 3 times the budget, from a quarter of the segments to all, from 1 to 5 steps."""
    schedules = {"epsilon_factor": (1, 3), "sampling_ratio": (0.25, 1), "attack_steps": (1, 5)}
    curriculum = {name: {"name": "linear", "start": low, "end": high} for name, (low, high) in schedules.items()}
    grown = growing(objective, **curriculum)
    reach = grown.threat.scaled(3.0 if isinstance(objective, NFGSM) else 1.0)
    assert grown.threat_at(0.5) == reach.scaled(2.0)
    assert grown.crafting_at(0.5).sampling_ratio == 0.625
    assert [getattr(attack, "steps", 1) for attack in grown.attacks_at(0.5)] in ([1], [3])
    assert grown.settings_at(0.5).get("attack_steps", 3.0) == 3.0
    (clips,) = shown(grown, model, batch, progress=1.0)
    for name, distances in grown.threat_at(1.0).distances(clips, batch).items():
        assert (distances > reach.epsilon(name) * 1.5).any()
        assert (distances <= grown.threat_at(1.0).epsilon(name) * (1 + 1e-5)).all()


def test_a_budget_that_begins_at_nothing_costs_nothing_at_first(model: Classifier, batch: Batch) -> None:
    objective = growing(TRADES(), epsilon_factor={"name": "linear", "start": 0, "end": 1})
    assert str(objective.cost(progress=0.0, num_segments=4)) == "2 F + 2 B"
    assert str(objective.cost(progress=0.1, num_segments=4)) == "8 F + 7 B"
    (clips,) = shown(objective, model, batch, progress=0.0)
    assert torch.equal(clips.video, batch.video)


def test_tma_with_the_same_schedules_is_the_curriculum_without_masking_and_dropout(
    model: Classifier, batch: Batch
) -> None:
    schedules = {"epsilon_factor": 1.5, "sampling_ratio": 0.5, "attack_steps": 2}
    model.train()
    found = [
        run(growing(objective, **schedules), model, batch, progress=0.5)[0] for objective in (TMAAT(), TMACurriculum())
    ]
    assert torch.equal(*found)


@pytest.mark.parametrize("wrapped", [False, True])
def test_adaptive_schedules_of_peers_go_on_with_the_history(wrapped: bool) -> None:
    inner = growing(FastAT(), epsilon_factor={"name": "adaptive", "levels": [1, 2], "patience": 1})
    objective: Objective = AWP.model_validate({"objective": inner.model_dump()}) if wrapped else inner
    factors = [
        objective.for_next_epoch(history).settings_at(0.5)["epsilon_factor"] for history in ([], [0.5], [0.5, 0.5])
    ]
    assert factors == [1, 1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objective.name": "fast_at", "objective.curriculum.attack_steps": 3},
            r"objective.curriculum.attack_steps: unknown setting; allowed: sampling_ratio, epsilon_factor",
        ),
        (
            {"objective.name": "trades", "objective.curriculum.mask_ratio": 0.25},
            r"objective.curriculum.mask_ratio: unknown setting; allowed: sampling_ratio, epsilon_factor, attack_steps",
        ),
        (
            {"objective.name": "nfgsm", "objective.curriculum.epsilon_factor": -1},
            r"epsilon_factor: -1 is outside \[0, inf\]",
        ),
        (
            {
                "objective.name": "pgd_at",
                "objective.crafting.sampling_ratio": 0.5,
                "objective.curriculum.sampling_ratio": 0.25,
            },
            r"crafting.sampling_ratio=0.5: the curriculum decides it, write it as curriculum.sampling_ratio",
        ),
    ],
)
def test_schedules_that_an_objective_has_no_use_for_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(TrainConfig, changes={"data": "data", "output": "output", **changes})


def test_restarts_are_refused_where_every_clip_must_be_looked_at() -> None:
    restarted = PGD(restarts=2)
    for mistaken in (
        lambda: PGDAT(attack=restarted, crafting=SHARED),
        lambda: MART(attack=restarted, crafting=SHARED),
        lambda: TMACurriculum(
            crafting=Crafting(sharing="gradient"),
            curriculum=FullCurriculum(other_attacks=(AttackShare(attack=restarted, share=Constant(value=0.5)),)),
        ),
    ):
        with pytest.raises(ValidationError, match=r"pgd with restarts=2 leaves out clips.*set restarts=1, or sha"):
            mistaken()
    assert PGDAT(attack=restarted, crafting=Crafting(sampling_ratio=0.5)).attack.restarts == 2
