"""The attacks compared: MI-FGSM as published, its peers, TIA, MMA and TMA, and the preset for transfer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from studies.transfer.models import Kind
from training.attacks import IFGSM, MIFGSM, MMA, TIA, TMA, TSI, TT, VMIFGSM, Attack
from training.attacks.engine.averaging import Smoothing, TemporalGroups
from training.attacks.engine.input_transforms import Admix, DiverseInputs, ScaledInputs

STEPS = 10
"""Steps and backward passes of every attack; where a step takes several passes there are fewer steps."""
LONG = 2 / STEPS
"""The step size in units of epsilon of all attacks but the baseline and I-FGSM, whose published 1 / K weakens them."""
BASELINE = "MI-FGSM"
PRESET = "TSI"


Surrogates = Kind | Literal["ensemble"]


@dataclass(frozen=True)
class Contender:
    """An attack, and the models that it is made on."""

    attack: Attack
    surrogates: Surrogates = "standard"
    """`ensemble`: the mean scores of all models but the victim."""
    is_peer: bool = False
    """Whether it is one of the published attacks on standard models that the preset is to be better than."""


def contenders() -> dict[str, Contender]:
    """All attacks by name."""
    long = {"steps": STEPS, "step_size": LONG}
    half, whole = TemporalGroups(segments="all", strength=0.5), TemporalGroups(segments="all")
    smooth = Smoothing(video=3, audio=3)
    peers: Mapping[str, Attack] = {
        "I-FGSM": IFGSM(steps=STEPS),
        "MI, 2/K": MIFGSM.model_validate(long),
        "TI": _mi(long, smoothing=smooth),
        "DI": _mi(long, input_transforms=(DiverseInputs(),)),
        "DI, 0.8": _mi(long, input_transforms=(DiverseInputs(smallest=0.8, probability=1.0),)),
        "SI": _mi(long, steps=5, step_size=2 / 5, input_transforms=(ScaledInputs(copies=2),)),
        "Admix": _mi(long, steps=5, step_size=2 / 5, input_transforms=(Admix(copies=2),)),
        "VMI": VMIFGSM(steps=4, step_size=2 / 4, num_neighbours=2),
        "TT": TT(steps=2, step_size=1.0, max_shift=2),
        "TI + DI": _mi(long, smoothing=smooth, input_transforms=(DiverseInputs(),)),
        "TI + Admix": _mi(long, steps=5, step_size=2 / 5, smoothing=smooth, input_transforms=(Admix(copies=2),)),
        "TIA": TIA.model_validate({**long, "temporal_weight": 0.1}),
        "MMA": MMA.model_validate({**long, "modality_weight": 0.3}),
        "TMA": TMA.model_validate({**long, "temporal_weight": 0.1, "modality_weight": 0.3}),
    }
    ours: Mapping[str, Attack] = {
        "half shared": _mi(long, sharing=half),
        "all shared": _mi(long, sharing=whole),
        PRESET: TSI(steps=STEPS),
        "TSI, a quarter shared": _mi(long, smoothing=smooth, sharing=TemporalGroups(segments="all", strength=0.25)),
        "TSI, all shared": _mi(long, smoothing=smooth, sharing=whole),
        "TSI + DI": _mi(long, smoothing=smooth, sharing=half, input_transforms=(DiverseInputs(),)),
    }
    found = {BASELINE: Contender(MIFGSM(steps=STEPS))}
    found |= {name: Contender(attack, is_peer=True) for name, attack in peers.items()}
    found |= {name: Contender(attack) for name, attack in ours.items()}
    others: Mapping[Surrogates, str] = {"early": "early-stopped", "robust": "slightly robust", "ensemble": "all other"}
    for kind, what in others.items():
        for name in ("MI, 2/K", "TI", PRESET):
            found[f"{name}, {what} surrogates"] = Contender(found[name].attack, surrogates=kind)
    return found


def by_size() -> dict[str, Contender]:
    """Kernels and strengths among which the preset's rule was chosen."""
    long = {"steps": STEPS, "step_size": LONG}
    found = {BASELINE: Contender(MIFGSM(steps=STEPS)), "MI, 2/K": Contender(MIFGSM.model_validate(long), is_peer=True)}
    for width in (3, 5, 7):
        attack = _mi(long, smoothing=Smoothing(video=width, audio=width))
        found[f"TI of {width}"] = Contender(attack, is_peer=True)
    for width in (1, 3, 5):
        for strength in (0.25, 0.5):
            smoothing, sharing = Smoothing(video=width, audio=width), TemporalGroups(segments="all", strength=strength)
            found[f"TI of {width}, {strength:g} shared"] = Contender(_mi(long, smoothing=smoothing, sharing=sharing))
    return found


LISTS = {"contenders": contenders, "by_size": by_size}
"""Lists of attacks by name."""


def _mi(settings: Mapping[str, Any], **others: object) -> MIFGSM:
    return MIFGSM.model_validate({**settings, **others})
