"""Objectives and the balls that they defend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.training.objectives.table import (
    ROWS,
    SHARED,
    named,
    run,
    shown,
    threat_of,
)
from training.attacks import PGD
from training.batch import Batch
from training.crafting import Crafting
from training.curriculum.curriculum import AttackShare, Curriculum
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
        calm = Curriculum.model_validate(objective.curriculum.model_dump() | {"mask_ratio": 0, "epsilon_factor": 1})
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


def test_restarts_are_refused_where_every_clip_must_be_looked_at() -> None:
    restarted = PGD(restarts=2)
    for mistaken in (
        lambda: PGDAT(attack=restarted, crafting=SHARED),
        lambda: MART(attack=restarted, crafting=SHARED),
        lambda: TMACurriculum(
            crafting=Crafting(sharing="gradient"),
            curriculum=Curriculum(other_attacks=(AttackShare(attack=restarted, share=Constant(value=0.5)),)),
        ),
    ):
        with pytest.raises(ValidationError, match=r"pgd with restarts=2 leaves out clips.*set restarts=1, or sha"):
            mistaken()
    assert PGDAT(attack=restarted, crafting=Crafting(sampling_ratio=0.5)).attack.restarts == 2
