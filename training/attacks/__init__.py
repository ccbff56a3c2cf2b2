"""All attacks. A new one is a file here, a line in `any_attack.py` and a row in the attack test table."""

from __future__ import annotations

from training.attacks.any_attack import AnyAttack, IterativeAttack
from training.attacks.apgd import APGD, APGDT
from training.attacks.api import AttackedClips, attack
from training.attacks.base import Attack
from training.attacks.engine.moments import OtherMoments
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

__all__ = [
    "APGD",
    "APGDT",
    "FAB",
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
    "TSI",
    "TT",
    "VMIFGSM",
    "AnyAttack",
    "Attack",
    "AttackedClips",
    "IterativeAttack",
    "MinimalBudget",
    "OtherMoments",
    "Square",
    "WorstCase",
    "attack",
]
