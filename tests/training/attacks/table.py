"""Every attack in the settings that tests of all of them use."""

from __future__ import annotations

import pytest

from evaluation.attack_lists import attack_label
from tests.training.attacks.targets import THREATS
from training.attacks import (
    APGD,
    APGDT,
    FAB,
    FGSM,
    IFGSM,
    MIFGSM,
    MIG,
    MMA,
    NIFGSM,
    PAM,
    PGD,
    TIA,
    TMA,
    TSI,
    TT,
    VMIFGSM,
    Attack,
    MinimalBudget,
    Square,
    WorstCase,
)
from training.attacks.engine.averaging import Smoothing, TemporalGroups
from training.attacks.engine.input_transforms import Admix, DiverseInputs, ScaledInputs
from training.passes import Passes

ATTACKS: list[Attack] = [
    APGD(steps=5),
    APGD(steps=4, loss="dlr", restarts=2, target="random"),
    APGDT(steps=3, num_targets=2),
    FAB(steps=2, num_targets=1, restarts=2),
    Square(queries=20),
    WorstCase(attacks=(Square(queries=3), FGSM())),
    MinimalBudget(attack=IFGSM(steps=2), rounds=2),
    FGSM(),
    FGSM(target="random"),
    IFGSM(steps=2),
    PGD(steps=2),
    PGD(steps=2, loss="margin"),
    PGD(steps=2, loss="dlr", target="runner_up"),
    PGD(steps=2, restarts=2),
    MIFGSM(steps=2),
    MIFGSM(steps=2, momentum_norm="joint", target="given"),
    MIFGSM(steps=2, sharing=TemporalGroups(segments=2)),
    MIFGSM(steps=2, step_size=1.5, smoothing=Smoothing(video=5), sharing=TemporalGroups(segments=3, strength=0.3)),
    MIFGSM(steps=2, sharing=TemporalGroups(segments=3, of="perturbation")),
    MIFGSM(steps=2, input_transforms=(DiverseInputs(probability=1.0),)),
    MIG(steps=2, num_points=2),
    NIFGSM(steps=2),
    PAM(steps=2, num_baselines=2, num_scales=1),
    TSI(steps=2),
    TT(steps=2, max_shift=1),
    VMIFGSM(steps=2, num_neighbours=2),
    TIA(steps=2),
    TIA(steps=2, combination="weighted"),
    TIA(steps=2, temporal="copies", num_copies=2),
    TIA(steps=2, temporal="copies", combination="weighted", features="raw", temporal_weight=-0.1),
    TIA(steps=2, sharing=TemporalGroups(segments=2, of="perturbation")),
    MMA(steps=2),
    MMA(steps=2, random_start=True),
    MMA(steps=2, agreement="segments"),
    MMA(steps=2, agreement="predictions", loss="margin"),
    TMA(steps=2),
    TMA(steps=2, combination="weighted", random_start=True),
    TMA(steps=2, sharing=TemporalGroups(segments=4), target="least_likely"),
    TMA(steps=2, smoothing=Smoothing(audio=3), sharing=TemporalGroups(segments="all", strength=0.5)),
    TMA(steps=2, temporal="copies", agreement="predictions", sharing=TemporalGroups(segments=4)),
    TMA(steps=2, input_transforms=(Admix(copies=2), ScaledInputs(copies=2))),
]
JOINT = next(iter(THREATS.values()))
MIXED = THREATS["l2(video=0.5, waveform=0.2, segments=0+3)"]
NUM_CLIPS = 7
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=attack_label)


def cost_where_nothing_is_fooled(attack: Attack) -> Passes:
    """What the attack costs if no clip can be left out; a budget that does not suffice at all is not bisected."""
    return attack.attack.cost + Passes(2, 0) if isinstance(attack, MinimalBudget) else attack.cost
