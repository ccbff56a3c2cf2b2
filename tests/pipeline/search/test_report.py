from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.search.report import SearchResult, TrialResult, draw, show

RESULT = SearchResult(
    metric="validation/robust_accuracy",
    threat="linf(video=4/255, audio=4/255)",
    trials=(
        TrialResult(
            trial_id="a1",
            settings={"optimizer.learning_rate": 0.00265, "objective.name": "pgd_at"},
            epochs=(1, 2, 3),
            robust_accuracies=(0.1, 0.4, 0.3),
            clean_accuracies=(0.5, 0.6, 0.9),
            status="finished",
        ),
        TrialResult(
            trial_id="a2",
            settings={"optimizer.learning_rate": 0.1, "objective.name": "standard"},
            epochs=(1,),
            robust_accuracies=(0.0,),
            clean_accuracies=(0.8,),
            status="stopped early",
        ),
    ),
)


def test_a_trial_counts_with_its_best_epoch() -> None:
    assert (RESULT.best.robust_accuracy, RESULT.best.clean_accuracy) == (0.4, 0.6)


def test_the_table_shows_every_trial_and_setting(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULT)
    text = capsys.readouterr().out
    for word in ("a1", "a2", "0.400", "stopped early", "learning_rate", "linf(video=4/255"):
        assert word in text


def test_the_picture_takes_numbers_and_words(tmp_path: Path) -> None:
    draw(RESULT, tmp_path / "search.png")
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")
