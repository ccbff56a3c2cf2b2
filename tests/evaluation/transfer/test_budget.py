"""As many steps as a budget pays for, for every attack and every number of models."""

from __future__ import annotations

import pytest

from evaluation.attack_lists import ATTACK_LISTS
from evaluation.transfer.budget import paid_by, passes_of
from preprocessing.errors import SettingsError
from training.attacks import FGSM, MIFGSM, MIG, PAM, PGD, TIA, TMA, TT, VMIFGSM, Attack, Square

ITERATED = [attack for attack in ATTACK_LISTS["paper"] if attack.name not in ("fgsm", "square")]


@pytest.mark.parametrize("attack", ITERATED, ids=lambda attack: attack.name)
@pytest.mark.parametrize("num_models", [1, 2, 3])
def test_the_attacks_of_the_paper_spend_3960_passes_to_the_last(attack: Attack, num_models: int) -> None:
    """Every one of them costs the same on one, two or three models.

    A step of PAM takes 33 passes a model and one of MIG 20; 3960 is the least that 33, 66, 99, 20, 40 and 60 divide.
    """
    assert passes_of(paid_by(attack, 3960, num_models=num_models), num_models=num_models) == 3960


@pytest.mark.parametrize(
    ("attack", "num_models", "steps"),
    [
        (MIFGSM(), 1, 60),
        (MIFGSM(), 2, 30),
        (MIFGSM(), 7, 8),  # 56 passes; the rest of 4 pays for no step on seven
        (MIG(), 1, 3),
        (PAM(), 1, 1),
        (TT(), 2, 6),  # five passes a step
        (TMA(temporal="copies", num_copies=2), 1, 20),
    ],
)
def test_steps_follow_from_sixty_passes(attack: Attack, num_models: int, steps: int) -> None:
    assert getattr(paid_by(attack, 60, num_models=num_models), "steps", None) == steps


@pytest.mark.parametrize("attack", [PGD(steps=3, random_start=True), VMIFGSM(), TIA(), Square(queries=7), MIG()])
@pytest.mark.parametrize("budget", [33, 47, 60, 100])
def test_no_attack_takes_more_than_the_budget_nor_leaves_a_whole_step(attack: Attack, budget: int) -> None:
    paid = paid_by(attack, budget)
    count = "queries" if attack.name == "square" else "steps"
    longer = type(attack).model_validate(paid.model_dump() | {count: getattr(paid, count) + 1})
    assert passes_of(paid) <= budget < passes_of(longer)


def test_nothing_else_of_an_attack_changes() -> None:
    attack = MIFGSM(momentum=0.5, loss="margin")
    assert paid_by(attack, 60) == MIFGSM(steps=60, momentum=0.5, loss="margin")


def test_an_attack_of_one_step_stays_as_it_is() -> None:
    assert paid_by(FGSM(), 60) == FGSM()
    assert passes_of(FGSM(), num_models=3) == 3


@pytest.mark.parametrize(
    ("attack", "budget", "num_models", "message"),
    [
        (PAM(), 32, 1, "one of the steps of pam takes 33 passes; allowed by budget=32: at most 32"),
        (PAM(), 60, 2, "one of the steps of pam on 2 models together takes 66 passes"),
        (FGSM(), 2, 3, "fgsm on 3 models together takes 3 passes; allowed by budget=2"),
    ],
)
def test_what_the_budget_does_not_pay_for_is_named(attack: Attack, budget: int, num_models: int, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        paid_by(attack, budget, num_models=num_models)
