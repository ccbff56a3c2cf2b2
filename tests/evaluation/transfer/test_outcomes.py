from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.transfer.outcomes import Outcomes
from preprocessing.errors import DataError
from tests.evaluation.transfer.hand_made import config_of, outcome, outcomes_of


def test_success_follows_from_the_predictions() -> None:
    rows = Outcomes.from_rows(
        [
            outcome(perturbed_prediction=0),
            outcome(),
            outcome(surrogate_right=False, perturbed_prediction=0),
            outcome(victim_right=False, victim_prediction=0, perturbed_prediction=0),
            outcome(perturbed_prediction=-1),
        ]
    )
    assert rows.counts.tolist() == [True, True, False, False, True]
    assert rows.is_fooled.tolist() == [True, False, False, False, True]


def test_cells_are_found_in_order_although_batches_come_between() -> None:
    config = config_of()
    whole = outcomes_of(config)
    first, second = whole.table.slice(0, len(whole.table) // 2), whole.table.slice(len(whole.table) // 2)
    mixed = Outcomes.joined([Outcomes(second), Outcomes(first)])
    cells = dict(mixed.cells())
    assert len(cells) == 2 * 3 * 3
    assert next(iter(cells))[1] == second["surrogate"][0].as_py()
    for (attack, surrogate, victim), rows in cells.items():
        assert set(rows.table["attack"].to_pylist()) == {attack}
        assert set(rows.table["surrogate"].to_pylist()) == {surrogate}
        assert set(rows.table["victim"].to_pylist()) == {victim}
        assert rows.table["key"].to_pylist() == [f"clip {number}" for number in range(6)]


def test_no_rows_have_no_cells() -> None:
    assert list(Outcomes.from_rows([]).cells()) == []


def test_a_table_is_read_back_and_another_is_refused(tmp_path: Path) -> None:
    rows = outcomes_of(config_of())
    rows.write(tmp_path / "outcomes.parquet")
    assert Outcomes.read(tmp_path / "outcomes.parquet").table.equals(rows.table)
    (tmp_path / "none.parquet").write_text("no table")
    with pytest.raises(DataError, match="cannot be read as a table of outcomes"):
        Outcomes.read(tmp_path / "none.parquet")
