from __future__ import annotations

from evaluation.transfer.surrogates import surrogates_of


def test_single_models_come_first_and_are_tried_on_all_victims() -> None:
    found = surrogates_of(["A", "B"], ["B", "C"], [["A", "C"]])
    assert [(each.name, each.kind, each.members, each.victims) for each in found] == [
        ("A", "single", ("A",), ("B", "C")),
        ("B", "single", ("B",), ("B", "C")),
        ("A+C", "ensemble", ("A", "C"), ("B", "C")),
    ]


def test_leave_one_out_is_an_ensemble_of_all_others_for_each_victim() -> None:
    """A victim on which nothing is crafted, D, is left out by all of them."""
    found = surrogates_of(["A", "B", "C"], ["A", "D"], ["leave_one_out"])[3:]
    assert [(each.name, each.kind, each.members, each.victims) for each in found] == [
        ("all but A", "leave_one_out", ("B", "C"), ("A",)),
        ("all but D", "leave_one_out", ("A", "B", "C"), ("D",)),
    ]


def test_the_white_box_is_where_the_victim_is_a_member() -> None:
    [one, _, both] = surrogates_of(["A", "B"], ["A", "B", "C"], [["A", "B"]])
    assert [one.is_white_box(name) for name in "ABC"] == [True, False, False]
    assert [both.is_white_box(name) for name in "ABC"] == [True, True, False]
