"""All attacks. A new one is a file here, a line in `AnyAttack` and a row in the attack test table."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from training.attacks.api import AttackedClips, attack
from training.attacks.base import Attack
from training.attacks.fgsm import FGSM
from training.attacks.ifgsm import IFGSM
from training.attacks.mifgsm import MIFGSM
from training.attacks.mig import MIG
from training.attacks.mma import MMA
from training.attacks.nifgsm import NIFGSM
from training.attacks.pam import PAM
from training.attacks.pgd import PGD
from training.attacks.tia import TIA
from training.attacks.tma import TMA
from training.attacks.tt import TT
from training.attacks.vmifgsm import VMIFGSM

AnyAttack = Annotated[
    FGSM | IFGSM | MIFGSM | MIG | MMA | NIFGSM | PAM | PGD | TIA | TMA | TT | VMIFGSM, Field(discriminator="name")
]
"""Any attack, chosen by its `name`."""
IterativeAttack = Annotated[
    IFGSM | MIFGSM | MIG | MMA | NIFGSM | PAM | PGD | TIA | TMA | TT | VMIFGSM, Field(discriminator="name")
]
"""An attack whose number of steps a curriculum can change."""

__all__ = [
    "FGSM",
    "IFGSM",
    "MIFGSM",
    "MIG",
    "MMA",
    "NIFGSM",
    "PAM",
    "PGD",
    "TIA",
    "TMA",
    "TT",
    "VMIFGSM",
    "AnyAttack",
    "Attack",
    "AttackedClips",
    "IterativeAttack",
    "attack",
]
