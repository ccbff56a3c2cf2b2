"""All corruptions by name. A new one is a class from `Corruption`, a name and a line here."""

from __future__ import annotations

from typing import Literal, get_args

from evaluation.corruptions.kinds.base import Corruption, Group
from evaluation.corruptions.kinds.digital import Compression, Gaussian, Impulse, Shot, Speckle
from evaluation.corruptions.kinds.environmental import Frost, Rain, Snow, Spatter, Underwater, Wind
from evaluation.corruptions.kinds.human import Concert, Crowd, Interference, Smoke
from evaluation.corruptions.kinds.masking import AsynchronousMasking, SynchronousMasking

CorruptionName = Literal[
    "gaussian",
    "impulse",
    "shot",
    "speckle",
    "compression",
    "snow",
    "frost",
    "spatter",
    "wind",
    "rain",
    "underwater",
    "concert",
    "smoke",
    "crowd",
    "interference",
    "synchronous_masking",
    "asynchronous_masking",
]
"""The fifteen of AVRobustBench in their order, and the two kinds of masking."""

CORRUPTIONS: dict[CorruptionName, Corruption] = {
    "gaussian": Gaussian(),
    "impulse": Impulse(),
    "shot": Shot(),
    "speckle": Speckle(),
    "compression": Compression(),
    "snow": Snow(),
    "frost": Frost(),
    "spatter": Spatter(),
    "wind": Wind(),
    "rain": Rain(),
    "underwater": Underwater(),
    "concert": Concert(),
    "smoke": Smoke(),
    "crowd": Crowd(),
    "interference": Interference(),
    "synchronous_masking": SynchronousMasking(),
    "asynchronous_masking": AsynchronousMasking(),
}

NAMES: tuple[CorruptionName, ...] = get_args(CorruptionName)
CO_OCCURRING: tuple[Group, ...] = ("digital", "environmental", "human")
"""The groups of the fifteen, over which means are taken; masking is told beside them."""
GROUPS: tuple[Group, ...] = (*CO_OCCURRING, "masking")
