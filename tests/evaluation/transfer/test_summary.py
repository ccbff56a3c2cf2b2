"""Every number of a report, worked out by hand from six clips and three models."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.intervals import Resampling, exact_interval
from evaluation.transfer.outcomes import Outcomes
from evaluation.transfer.report import Cell, Mean, TransferReport
from evaluation.transfer.summary import Tried, mean_difference_interval, mean_interval, summarise
from preprocessing.errors import DataError
from tests.evaluation.transfer.hand_made import WRONG, config_of, facts_of, outcomes_of, report_of


def cell(report: TransferReport, attack: str, surrogate: str, victim: str) -> Cell:
    [found] = [
        each for each in report.cells if (each.attack, each.surrogate, each.victim) == (attack, surrogate, victim)
    ]
    return found


def mean(report: TransferReport, attack: str, group: str) -> Mean:
    [found] = [each for each in report.means if (each.attack, each.group) == (attack, group)]
    return found


@pytest.fixture(scope="module")
def report() -> TransferReport:
    return report_of(config_of(ensembles=["leave_one_out", ["A", "B"]]))


def test_success_is_counted_among_the_clips_that_both_have_right(report: TransferReport) -> None:
    """A and B both have 0, 1 and 4 right; B has 0, 2 and 3 wrong then: of those that count, 0 alone."""
    found = cell(report, "mifgsm", "A", "B")
    assert (found.num_clips, found.num_fooled) == (3, 1)
    assert found.success_rate == pytest.approx(1 / 3)
    found = cell(report, "mifgsm", "A", "C")  # both: 0, 1, 2, 5; wrong: 1 and 4, of which 1 counts
    assert (found.num_clips, found.num_fooled, found.success_rate) == (4, 1, 0.25)


def test_the_white_box_counts_what_the_surrogate_itself_has_right(report: TransferReport) -> None:
    found = cell(report, "mifgsm", "A", "A")
    assert (found.num_clips, found.num_fooled, found.is_white_box) == (5, 5, True)
    assert found.success_rate_interval == exact_interval(5, 5)


def test_of_an_ensemble_every_member_must_be_right() -> None:
    """A, B and C all have clips 0 and 1 right alone; A+B on A: 0, 1 and 4."""
    wrong = {("mifgsm", "A+B", "C"): (0, 2, 3), ("mifgsm", "A+B", "A"): (0, 1, 2)}
    config = config_of(ensembles=[["A", "B"]])
    found = summarise(outcomes_of(config, wrong), config=config, facts=facts_of(config))
    assert cell(found, "mifgsm", "A+B", "C").num_clips == 2
    assert cell(found, "mifgsm", "A+B", "C").success_rate == 0.5
    white_box = cell(found, "mifgsm", "A+B", "A")
    assert (white_box.num_clips, white_box.num_fooled, white_box.is_white_box) == (3, 2, True)


def test_differences_are_to_the_baseline_over_the_same_clips(report: TransferReport) -> None:
    """tma from A fools B on 0 and 1 of 0, 1, 4, mifgsm on 0: one third more."""
    found = cell(report, "tma", "A", "B")
    assert found.difference == pytest.approx(1 / 3)
    assert found.difference_interval is not None
    assert found.difference_interval[0] <= 1 / 3 <= found.difference_interval[1]
    assert cell(report, "mifgsm", "A", "B").difference is None
    assert cell(report, "tma", "C", "B").difference == 0.0


def test_means_are_over_the_cells_of_a_kind(report: TransferReport) -> None:
    """Single surrogates have six cells off the diagonal: A on B and on C, and four in which nothing is fooled."""
    found = mean(report, "mifgsm", "single")
    assert found.num_cells == 6
    assert found.success_rate == pytest.approx((1 / 3 + 1 / 4) / 6)
    better = mean(report, "tma", "single")
    assert better.success_rate == pytest.approx((2 / 3 + 3 / 4) / 6)
    assert better.difference == pytest.approx((1 / 3 + 2 / 4) / 6)
    assert mean(report, "mifgsm", "leave_one_out").num_cells == 3
    assert mean(report, "mifgsm", "ensemble").num_cells == 1
    assert mean(report, "mifgsm", "white_box").num_cells == 3 + 2


def test_accuracies_are_of_all_clips(report: TransferReport) -> None:
    assert [each.accuracy for each in report.models] == pytest.approx([5 / 6, 4 / 6, 5 / 6])


def test_a_model_that_is_no_victim_is_known_by_its_own_clips() -> None:
    found = report_of(config_of(crafted_on=["A"], tried_on=["C"], ensembles=[["A", "B"]]))
    assert [each.accuracy for each in found.models] == pytest.approx([5 / 6, None, 5 / 6])
    assert {(each.surrogate, each.victim) for each in found.cells} == {("A", "C"), ("A+B", "C")}


def test_where_no_clip_counts_there_is_no_rate() -> None:
    config = config_of()
    rows = outcomes_of(config).table.to_pylist()
    never = [row | {"surrogate_right": False, "fooled": None} if row["surrogate"] == "A" else row for row in rows]
    outcomes = type(outcomes_of(config))(
        outcomes_of(config).table.from_pylist(never, schema=outcomes_of(config).schema)
    )
    found = summarise(outcomes, config=config, facts=facts_of(config))
    assert cell(found, "tma", "A", "B").success_rate is None
    assert cell(found, "tma", "A", "B").difference is None
    assert mean(found, "tma", "single").num_cells == 4


def test_means_are_over_the_cells_that_all_attacks_have() -> None:
    """tma was left out on C: A on B and C, B on A and C are left, for mifgsm too."""
    found = report_of(config_of(baseline="tma"), left_out=[("tma", "C")])
    assert cell(found, "mifgsm", "C", "A").difference is None
    assert cell(found, "mifgsm", "A", "B").difference == pytest.approx(-1 / 3)
    assert mean(found, "tma", "single").num_cells == mean(found, "mifgsm", "single").num_cells == 4
    assert mean(found, "mifgsm", "single").success_rate == pytest.approx((1 / 3 + 1 / 4) / 4)
    assert mean(found, "mifgsm", "single").difference == pytest.approx(-(1 / 3 + 2 / 4) / 4)


def test_a_baseline_that_was_left_out_everywhere_compares_with_nothing() -> None:
    found = report_of(config_of(baseline="tma"), left_out=[("tma", name) for name in "ABC"])
    assert mean(found, "mifgsm", "single").num_cells == 6
    assert mean(found, "mifgsm", "single").difference is None


def test_what_is_missing_or_too_much_is_named() -> None:
    config, wider = config_of(), config_of(ensembles=[["A", "B"]])
    with pytest.raises(DataError, match=r"no outcomes of mifgsm from A\+B on A"):
        summarise(outcomes_of(config), config=wider, facts=facts_of(wider))
    with pytest.raises(DataError, match=r"outcomes that the settings do not ask for of mifgsm from A\+B on A"):
        summarise(outcomes_of(wider), config=config, facts=facts_of(config))
    table = outcomes_of(config).table
    with pytest.raises(DataError, match="outcomes of tma from C on C cover other clips than the first"):
        summarise(Outcomes(table.slice(0, len(table) - 1)), config=config, facts=facts_of(config))


def tried(counts: list[int], fooled: list[int]) -> Tried:
    return Tried(np.array(counts, bool), np.array(fooled, bool))


def test_intervals_of_means_do_not_claim_certainty() -> None:
    """Nothing fooled among 3 of 4 clips: the binomial bound of 0 in 3; everything: that of 3 in 3."""
    draws = Resampling.draw(4, num_draws=100, seed=0)
    none, everything = tried([1, 1, 1, 0], [0, 0, 0, 0]), tried([1, 1, 1, 0], [1, 1, 1, 0])
    assert mean_interval([none, none], draws) == exact_interval(0, 3)
    assert mean_interval([everything], draws) == exact_interval(3, 3)
    most = exact_interval(0, 3)[1]
    assert mean_difference_interval([none], [none], draws) == (-most, most)
    assert mean_difference_interval([everything], [none], draws) == pytest.approx((1 - most, 1.0))
    assert mean_difference_interval([none], [everything], draws) == pytest.approx((-1.0, most - 1))


def test_the_interval_of_a_mean_is_that_of_draws_over_clips() -> None:
    """Two cells that agree on every clip are no more certain than one: clips are drawn, not cells."""
    random = np.random.default_rng(0)
    counts, fooled = random.random(200) < 0.8, random.random(200) < 0.4
    one = Tried(counts, counts & fooled)
    draws = Resampling.draw(200, num_draws=2000, seed=0)
    assert mean_interval([one, one], draws) == pytest.approx(draws.share_among(one.is_fooled, counts))


def test_a_cell_is_the_same_whatever_else_is_measured() -> None:
    small, large = report_of(config_of()), report_of(config_of(ensembles=["leave_one_out"]))
    assert [each for each in large.cells if "all but" not in each.surrogate] == list(small.cells)
    assert WRONG.keys() <= {(each.attack, each.surrogate, each.victim) for each in small.cells}
