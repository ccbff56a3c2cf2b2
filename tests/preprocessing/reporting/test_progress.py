"""Progress by a clock of our own."""

from __future__ import annotations

import pytest

from preprocessing.reporting.progress import SECONDS_BETWEEN_LINES, Progress, announced, duration


class Clock:
    """Shows the time it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_small_part_of_the_work_says_nothing_of_the_rest_if_so_wanted() -> None:
    now = [0.0]
    progress = Progress(100, clock=lambda: now[0])
    now[0] = 1.0
    progress.add(1)
    assert progress.time_left(least_share=0.02) == "unknown time left"
    progress.add(1)
    assert progress.time_left(least_share=0.02) == "49 s left"


def test_the_rest_takes_as_long_as_it_took_so_far(clock: Clock) -> None:
    """30 of 90 took 50 s, so 60 take 100 s."""
    progress = Progress(90, clock=clock)
    assert progress.time_left() == "unknown time left"
    clock.now += 50
    progress.add(30)
    assert progress.rate == pytest.approx(0.6)
    assert progress.time_left() == "1 min 40 s left"
    progress.add(60)
    assert progress.time_left() == "0 s left"


def test_what_was_found_done_says_nothing_about_the_speed(clock: Clock) -> None:
    progress = Progress(90, clock=clock)
    clock.now += 10
    progress.skip(70)
    assert progress.time_left() == "unknown time left"
    progress.add(10)
    assert (progress.done, progress.rate, progress.time_left()) == (80, 1.0, "10 s left")


def test_the_time_before_a_restart_does_not_count(clock: Clock) -> None:
    """The first 30 arrive after 1000 s of waiting; 30 more in 5 s leave 5 s for the rest."""
    progress = Progress(90, clock=clock)
    clock.now += 1000
    progress.skip(30)
    progress.restart()
    clock.now += 5
    progress.add(30)
    assert progress.time_left() == "5 s left"


def test_lines_are_due_now_and_then_or_when_asked_for(clock: Clock) -> None:
    progress = Progress(9, clock=clock)
    assert not progress.is_due()
    assert progress.is_due(always=True)
    clock.now += SECONDS_BETWEEN_LINES
    assert progress.is_due()
    assert not progress.is_due()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (100, "1 min 40 s"), (7500, "2 h 05 min")]
)
def test_times_are_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_items_are_passed_on_and_announced_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preprocessing.reporting.progress.SECONDS_BETWEEN_LINES", 0.0)
    said: list[str] = []
    assert list(announced("abc", total=5, log=said.append, what="step", done=2)) == ["a", "b", "c"]
    assert [line.split(",")[0] for line in said] == ["step 3/5", "step 4/5"], "the end is told by whoever knows more"
    said.clear()
    monkeypatch.setattr("preprocessing.reporting.progress.SECONDS_BETWEEN_LINES", 100.0)
    assert list(announced(range(3), total=3, log=said.append, what="step")) == [0, 1, 2]
    assert said == []
