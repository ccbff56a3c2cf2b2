"""All attacks, as settings name them. A new one is a line in `AnyAttack`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from training.attacks.apgd import APGD, APGDT
from training.attacks.fab import FAB
from training.attacks.fgsm import FGSM, IFGSM
from training.attacks.mifgsm import MIFGSM, NIFGSM, TSI
from training.attacks.mig import MIG
from training.attacks.minimal_budget import MinimalBudget
from training.attacks.pam import PAM
from training.attacks.pgd import PGD
from training.attacks.square import Square
from training.attacks.tma import MMA, TIA, TMA
from training.attacks.tt import TT
from training.attacks.vmifgsm import VMIFGSM
from training.attacks.worst_case import WorstCase

AnyAttack = Annotated[
    APGD
    | APGDT
    | FAB
    | FGSM
    | IFGSM
    | MIFGSM
    | MIG
    | MinimalBudget
    | MMA
    | NIFGSM
    | PAM
    | PGD
    | Square
    | TIA
    | TMA
    | TSI
    | TT
    | VMIFGSM
    | WorstCase,
    Field(discriminator="name"),
]
"""Any attack, chosen by its `name`."""

IterativeAttack = Annotated[
    APGD | IFGSM | MIFGSM | MIG | MMA | NIFGSM | PAM | PGD | TIA | TMA | TSI | TT | VMIFGSM, Field(discriminator="name")
]
"""An attack whose number of steps a curriculum can change."""

for _holder in (MinimalBudget, WorstCase):  # attacks that hold attacks: their fields' type is known from here on
    _holder.model_rebuild(_types_namespace={"AnyAttack": AnyAttack})
