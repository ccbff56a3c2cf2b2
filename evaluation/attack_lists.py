"""Lists of attacks by name, `quick`, `standard` and `paper`, and the words that tell attacks apart in a report."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator

from preprocessing.settings import Settings
from training.attacks import (
    APGD,
    APGDT,
    FAB,
    FGSM,
    IFGSM,
    MIFGSM,
    MIG,
    MMA,
    NIFGSM,
    PAM,
    PGD,
    TIA,
    TMA,
    TSI,
    AnyAttack,
    Attack,
    Square,
)

AttackListName = Literal["default", "quick", "standard", "paper"]

ATTACK_LISTS: dict[AttackListName, tuple[AnyAttack, ...]] = {
    "default": (
        FGSM(),
        PGD(steps=20),
        PGD(steps=20, loss="margin"),
        APGD(steps=30, loss="margin"),
        MIFGSM(),
        TIA(),
        MMA(),
        TMA(),
        TSI(),
        Square(queries=300),
    ),
    "quick": (
        FGSM(),
        PGD(steps=10),
        PGD(steps=10, loss="margin"),
        TMA(),
        Square(queries=100),
    ),
    "standard": (
        FGSM(),
        PGD(steps=50),
        PGD(steps=50, loss="margin"),
        MIFGSM(steps=20),
        TIA(steps=20),
        MMA(steps=20),
        TMA(steps=20),
        TSI(steps=20),
        APGD(steps=100),
        APGDT(steps=100, num_targets=9),
        FAB(steps=100, num_targets=9),
        Square(queries=5000),
    ),
    "paper": (
        FGSM(),
        IFGSM(),
        MIFGSM(),
        NIFGSM(),
        MIG(),
        PAM(),
        TIA(),
        MMA(),
        TMA(),
        Square(queries=300),
    ),
}
"""`default`: steps enough for a sound number on a small model. `quick`: a first look; numbers may come out too high.
`standard`: ours beside the four of AutoAttack at its full settings (Croce & Hein 2020, arXiv:2003.01690, Section 6:
APGD 100 steps, APGD-T and FAB-T 100 steps towards each of 9 classes, Square 5,000 queries). `paper`: those that the
paper compares (arXiv:2502.11858, Section 5) with ten steps, and one without gradients."""


def _spelled_out(value: Any) -> Any:
    """The list of a name, and in a list an attack of its name alone: `standard`, `[pgd, {name: square}]`.

    Raises:
        ValueError: if a word is the name of no list and of no attack.
    """
    if isinstance(value, str):
        if value not in ATTACK_LISTS:
            names = ", ".join(ATTACK_LISTS)
            raise ValueError(f"'{value}' is no list of attacks ({names}); one attack alone is written [{value}]")
        return ATTACK_LISTS[value]
    if not isinstance(value, list | tuple):
        return value
    return tuple(_attack(each) for each in value)


def _attack(value: Any) -> Any:
    """An attack of its name alone."""
    if not isinstance(value, str):
        return value
    known = attack_names()
    if value not in known:
        meant = {"cw": " (Carlini and Wagner's loss: {name: pgd, loss: margin})", "autoattack": " (attacks=standard)"}
        raise ValueError(f"'{value}' is no attack{meant.get(value, '')}; allowed: {', '.join(known)}")
    return {"name": value}


def attack_names() -> tuple[str, ...]:
    """The names of all attacks."""
    return tuple(each.model_fields["name"].default for each in get_args(get_args(AnyAttack)[0]))


NamedAttack = Annotated[AnyAttack, BeforeValidator(_attack)]
"""An attack by its settings, or by its name alone."""

AttackList = Annotated[tuple[AnyAttack, ...], BeforeValidator(_spelled_out)]
"""Attacks, each by its settings or its name alone; or all of a list by the list's name."""


def attack_label(attack: Attack) -> str:
    """A short name that tells an attack's settings apart: `pgd-20 margin` has 20 steps and the loss `margin`.

    Letters, digits, `_ - .` and spaces only, so that it can name a metric.
    """
    steps = getattr(attack, "steps", None)
    return " ".join([attack.name + (f"-{steps}" if steps is not None else ""), *_differences(attack)])


def method_label(attack: Attack) -> str:
    """The same without the steps: `pgd margin`, for reports that give an attack as many as a budget pays for."""
    return " ".join([attack.name, *_differences(attack)])


def _in_one_word(settings: Settings) -> str:
    """An attack or input transformation among the settings of another: `pgd-20_margin`, `di_smallest_0.8`."""
    name = [getattr(settings, "name", "")]
    label = attack_label(settings) if isinstance(settings, Attack) else " ".join([*name, *_differences(settings)])
    return label.replace(" ", "_")


def _differences(settings: Settings) -> list[str]:
    """The settings that are not the defaults, each with its name unless its value is a word that says enough."""
    words = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name in ("name", "steps") or value == field.default:
            continue
        if isinstance(value, Attack):
            words += [_in_one_word(value)]
        elif isinstance(value, Settings):
            words += [name, *_differences(value)]
        elif isinstance(value, tuple):
            words += [_in_one_word(each) if isinstance(each, Settings) else str(each) for each in value]
        else:
            words += [value] if isinstance(value, str) else [name, str(value)]
    return words
