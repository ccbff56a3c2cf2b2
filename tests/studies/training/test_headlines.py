from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Bool

from benchmarks.row import Row
from studies.training.costs import Cost
from studies.training.headlines import Results, headlines
from studies.training.methods import CURRICULUM, PEER, STRONGEST
from studies.training.shares import shares

COSTS = {STRONGEST: Cost(100, 20), PEER: Cost(80, 20), "cheap": Cost(20, 10), CURRICULUM: Cost(25, 10)}
"""Training and validation."""


def right(share: float) -> Bool[np.ndarray, "seeds clips"]:
    """The first clips of two hundred, by two seeds."""
    return np.tile(np.arange(200) < 200 * share, (2, 1))


def found(**worst_case: float) -> dict[str, Row]:
    """The headlines where these methods hold so many clips, and all of them are right when clean."""
    names = {"strongest": STRONGEST, "peer": PEER, "cheap": "cheap", "curriculum": CURRICULUM}
    held = {names[name]: right(share) for name, share in worst_case.items()}
    costs = {name: COSTS[name] for name in held}
    results = Results(
        cpu_seconds=costs,
        passes=costs,
        shares={
            "joint": shares(held, CURRICULUM),
            "clean": shares(dict.fromkeys(held, right(1.0)), CURRICULUM),
        },
        to_strongest=shares(held, STRONGEST) if STRONGEST in held else {},
    )
    return {row.name: row for row in headlines(results)}


@pytest.mark.parametrize(("curriculum", "is_met"), [(0.4, False), (1.0, True)])
def test_a_cheaper_curriculum_that_is_weaker_does_not_count_as_cheaper(curriculum: float, is_met: bool) -> None:
    """It loses on 120 of 200 clips that PGD-AT holds: no interval of theirs holds 0. At a tie it costs 35 of 100."""
    row = found(peer=1.0, curriculum=curriculum)["curriculum_vs_pgd_at"]
    assert row.is_met == is_met
    if is_met:
        assert row.ratio == 0.35
        assert row.detail["cpu_ratio_without_validation"] == 25 / 80


@pytest.mark.parametrize(
    ("cheap", "method", "ratio"),
    [(0.8, "cheap", 30 / 120), (0.79, "cheap", 30 / 120), (0.785, CURRICULUM, 35 / 120), (0.9, "cheap", 30 / 120)],
)
def test_the_cheapest_method_at_most_a_point_below_the_strongest(cheap: float, method: str, ratio: float) -> None:
    row = found(strongest=0.8, cheap=cheap, curriculum=0.8)["cheapest_near_trades"]
    assert (row.detail["method"], row.ratio) == (method, ratio)
    assert row.is_met


def test_where_nothing_else_is_near_the_strongest_it_is_itself_the_cheapest() -> None:
    row = found(strongest=0.8, cheap=0.7, curriculum=0.7)["cheapest_near_trades"]
    assert (row.detail["method"], row.ratio, row.is_met) == (STRONGEST, 1.0, False)


def test_without_the_strongest_nothing_is_said_about_it() -> None:
    assert "cheapest_near_trades" not in found(peer=0.8, curriculum=0.8)
