"""The gradient budget: as many steps as a number of passes pays for, the same number for every attack and surrogate."""

from __future__ import annotations

from typing import TypeVar

from evaluation.attack_lists import method_label
from preprocessing.errors import SettingsError
from training.attacks import Attack

COUNTS = ("steps", "queries")
"""Settings that say how long an attack goes on; an attack has one of them, or none as FGSM."""

AnAttack = TypeVar("AnAttack", bound=Attack)


def passes_of(attack: Attack, *, num_models: int = 1) -> int | float:
    """Passes of an attack per clip through `num_models` models at once, at most.

    A forward pass with the backward pass that follows it counts as one, and so does a forward pass alone. A step on the
    mean of several models' logits takes a pass through each.
    """
    return max(attack.cost.forward, attack.cost.backward) * num_models


def paid_by(attack: AnAttack, budget: int, *, num_models: int = 1) -> AnAttack:
    """The attack with the largest number of steps whose passes the budget pays for.

    Step sizes that are set in shares of the steps, as they are by default, follow. What is less than a step's passes
    remains unspent. An attack of a single step, such as FGSM, stays as it is: it cannot spend more.

    Raises:
        SettingsError: if it does not even pay for one step; it says what that takes.
    """
    count = next((name for name in COUNTS if name in type(attack).model_fields), None)
    shortest = attack if count is None else _with(attack, count, 1)
    least = passes_of(shortest, num_models=num_models)
    if least > budget:
        on = "" if num_models == 1 else f" on {num_models} models together"
        what = f"{method_label(attack)}{on}" if count is None else f"one of the {count} of {method_label(attack)}{on}"
        raise SettingsError(f"{what} takes {least:g} passes; allowed by budget={budget}: at most {budget}")
    if count is None:
        return attack
    each = passes_of(_with(attack, count, 2), num_models=num_models) - least
    return _with(attack, count, 1 + int((budget - least) // each))


def _with(attack: AnAttack, count: str, number: int) -> AnAttack:
    return type(attack).model_validate(attack.model_dump() | {count: number})
