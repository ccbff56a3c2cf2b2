"""How a problem is worded; `test_config` tests whole messages of whole commands."""

from __future__ import annotations

import pytest

from pipeline.settings.problems import nearest

KEYS = ("epochs", "batch_size", "objective", "objective.attack", "objective.attack.steps", "validation.limit")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("epocs", "epochs"),
        ("objective.attack.stpes", "objective.attack.steps"),  # a misspelling in its own group
        ("steps", "objective.attack.steps"),  # the group forgotten
        ("training.limit", "validation.limit"),  # the wrong group
        ("batchsize", "batch_size"),
        ("colour", None),
    ],
)
def test_the_nearest_key_is_the_one_that_was_meant(typed: str, meant: str | None) -> None:
    assert nearest(typed, KEYS) == meant


def test_of_two_keys_that_end_alike_the_one_in_the_same_group_is_meant() -> None:
    assert nearest("b.stepz", ("a.steps", "b.steps")) == "b.steps"
