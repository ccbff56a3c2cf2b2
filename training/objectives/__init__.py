"""All training objectives. A new one is a file here, a line in `AnyObjective` and a row in the objective test table."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, get_args

from pydantic import Field

from training.objectives.awp import AWP
from training.objectives.base import Loss, Objective, SingleUpdate
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

# AWP holds another objective: those with one update per batch, which are known from here on.
_single_updates = [each for each in get_args(get_args(AnyObjective)[0]) if issubclass(each, SingleUpdate)]
_wrapped = reduce(or_, (each for each in _single_updates if each is not AWP))
AWP.model_rebuild(_types_namespace={"AnySingleUpdate": Annotated[_wrapped, Field(discriminator="name")]})

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
