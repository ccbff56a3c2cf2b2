"""The unions of attacks that settings choose from."""

from __future__ import annotations

from typing import get_args

from pydantic import TypeAdapter

from tests.training.attacks.table import ATTACKS, every_attack
from training.attacks import AnyAttack, Attack, IterativeAttack


def test_the_table_holds_every_attack() -> None:
    assert {type(attack) for attack in ATTACKS} == set(get_args(get_args(AnyAttack)[0]))


@every_attack
def test_an_attack_is_its_settings(attack: Attack) -> None:
    assert TypeAdapter(AnyAttack).validate_python(attack.model_dump(mode="json")) == attack


def test_a_curriculum_can_move_the_steps_of_the_attacks_that_have_them() -> None:
    """But for APGD-T and FAB, which climb anew for each of several targets."""
    with_steps = {type(attack) for attack in ATTACKS if "steps" in type(attack).model_fields}
    assert {each.__name__ for each in with_steps - set(get_args(get_args(IterativeAttack)[0]))} == {"APGDT", "FAB"}
