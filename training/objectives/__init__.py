"""All training objectives. A new one is a file here, a line in `AnyObjective` and a row in the objective test table."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from training.objectives.awp import AWP
from training.objectives.base import Loss, Objective
from training.objectives.crmt_at import CRMTAT
from training.objectives.fast_at import FastAT
from training.objectives.free_at import FreeAT
from training.objectives.mart import MART
from training.objectives.minsim import MinSim
from training.objectives.mixup import Mixup
from training.objectives.nfgsm import NFGSM
from training.objectives.pgd_at import PGDAT
from training.objectives.standard import Standard
from training.objectives.tma_at import TMAAT
from training.objectives.tma_curriculum import TMACurriculum
from training.objectives.trades import TRADES

AnyObjective = Annotated[
    AWP | CRMTAT | FastAT | FreeAT | MART | MinSim | Mixup | NFGSM | PGDAT | Standard | TMAAT | TMACurriculum | TRADES,
    Field(discriminator="name"),
]
"""Any objective, chosen by its `name`."""

__all__ = [
    "AWP",
    "CRMTAT",
    "MART",
    "NFGSM",
    "PGDAT",
    "TMAAT",
    "TRADES",
    "AnyObjective",
    "FastAT",
    "FreeAT",
    "Loss",
    "MinSim",
    "Mixup",
    "Objective",
    "Standard",
    "TMACurriculum",
]
