"""The training methods compared, and the curriculum with one part after the other changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.settings.load import load, override
from studies.demo_data import CONFIGS
from training.attacks import PGD
from training.config import TrainConfig
from training.crafting import Crafting
from training.objectives import (
    NFGSM,
    PGDAT,
    TMAAT,
    TRADES,
    FastAT,
    FreeAT,
    Objective,
    Standard,
    TMACurriculum,
)
from training.threat import ThreatModel

CURRICULUM = "curriculum"
"""The method that all others are compared with."""
PEER = "PGD-AT 5"
"""The method that its cost is measured against: as many steps as the curriculum ends with, on all segments."""


STRONGEST = "TRADES"
"""The method with the highest worst case where cost does not matter."""


@dataclass(frozen=True)
class Method:
    """A way to train."""

    objective: Objective
    epochs_factor: float = 1.0
    """Passes over the data, in those of the others."""


def methods() -> dict[str, Method]:
    """The curriculum and its peers by name; all see the same clips, but Free-AT, whose replays are updates too."""
    free = FreeAT(replays=4)
    return {
        "standard": Method(Standard()),
        "FGSM-RS": Method(FastAT()),
        "N-FGSM": Method(NFGSM()),
        "Free-AT": Method(free, epochs_factor=2 / free.replays),  # two passes per epoch of the others, as FGSM-RS
        PEER: Method(PGDAT(attack=PGD(steps=5))),
        "PGD-AT 10": Method(PGDAT(attack=PGD(steps=10))),
        STRONGEST: Method(TRADES()),
        "TMA-AT 25 %": Method(TMAAT(crafting=Crafting(sampling_ratio=0.25))),
        "TMA-AT 50 %": Method(TMAAT(crafting=Crafting(sampling_ratio=0.5))),
        "TMA-AT 100 %": Method(TMAAT(crafting=Crafting(sampling_ratio=1.0))),
        CURRICULUM: Method(curriculum()),
    }


def ablations() -> dict[str, Method]:
    """The curriculum with one thing changed each, and its larger budget given to two peers."""
    changes: Mapping[str, Mapping[str, Any]] = {
        "budget: as defended": {"curriculum.epsilon_factor": 1.0},
        "budget: 1.5 throughout": {"curriculum.epsilon_factor": 1.5},
        "steps: 1 throughout": {"curriculum.attack_steps": 1},
        "segments: half throughout": {"curriculum.sampling_ratio": 0.5},
        "schedules: jumps": {
            "curriculum.epsilon_factor": {"name": "step", "levels": [1.0, 1.5, 2.0], "starts": [0.0, 0.33, 0.67]},
            "curriculum.attack_steps": {"name": "step", "levels": [1, 3], "starts": [0.0, 0.75]},
        },
        "sharing: each step's gradient": {"crafting.sharing": "gradient"},
        "sharing: none": {"crafting.sharing": "none"},
        "attack: PGD": {"attack": PGD().model_dump()},
        "masking: a quarter": {"curriculum.mask_ratio": 0.25},
        "masking: apart": {"curriculum.mask_ratio": 0.25, "curriculum.masking": "asynchronous"},
        "dropout: a fifth": {"curriculum.dropout_ratio": 0.2},
    }
    threat = ThreatModel().scaled(1.5)
    return {name: Method(override(curriculum(), change)) for name, change in changes.items()} | {
        "FGSM-RS, budget 1.5": Method(FastAT(threat=threat)),
        f"{PEER}, budget 1.5": Method(PGDAT(attack=PGD(steps=5), threat=threat)),
    }


def curriculum() -> TMACurriculum:
    """The objective of the YAML file that users start from."""
    file = CONFIGS / "train" / "tma_curriculum.yaml"
    objective = load(TrainConfig, file, {"data": "data", "output": "output"}).objective
    assert isinstance(objective, TMACurriculum), f"'{file}' trains by {objective.name}"
    return objective
