from __future__ import annotations

import pytest

from preprocessing.estimate.calibration import NOTHING, Calibration
from preprocessing.estimate.estimate import Estimate
from preprocessing.estimate.segment_count import SegmentCount
from preprocessing.estimate.table import duration, facts_of, show
from preprocessing.schema import Accounting, FilesSeen, LeftOut


@pytest.fixture
def found() -> Estimate:
    """A thousand videos in ten shards, two of which are finished."""
    return Estimate(
        output="runs/ks/dataset",
        num_videos={
            "[bold]drums[/bold]\x1b[31m": {"train": 1000, "validation": 20, "test": 3},
            "congas": {"train": 1, "validation": 0, "test": 1},
        },
        layouts={"<split>/<class>": 1023},
        accounting=Accounting(
            layout="split_folders: <split>/<class>/<name>.mp4",
            files=(FilesSeen(ending=".mp4", kind="video", seen=1024, used=1023),),
            left_out=(LeftOut(reason="hidden", count=1, example="a/.[red]x\x1b.mp4"),),
        ),
        rejected={"missing_file": 4, "bad_name": 1},
        examples={"missing_file": "train/drums/c.mp4", "bad_name": "?.mp4"},
        num_shards=10,
        num_finished=2,
        num_remaining=800,
        workers=2,
        calibration=Calibration(
            files=("train/drums/a.mp4", "train/drums/b.mp4"),
            rejected={"too_short": 1},
            clip_cpu_seconds=0.1,
            clip_wall_seconds=0.11,
            bytes_of_each=(400_000, 0),
            start_cpu_seconds=0.5,
            start_wall_seconds=0.6,
            fitting_segments=4,
        ),
        remaining_bytes=160_000_000,
        bytes_error=40_000_000,
        cpu_seconds=84.0,
        wall_seconds=46.4,
        free_bytes=150_000_000,
    )


def printed(found: Estimate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "160")
    show(found)
    return capsys.readouterr().out


def test_the_tables_say_all_that_was_found(
    found: Estimate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed(found, capsys, monkeypatch)
    for words in (
        *("split_folders: <split>/<class>", "1,024, 1,023 used (.mp4 1,024)", "such as 'a/.[red]x\\x1b.mp4'"),
        *(
            "Plan for runs/ks/dataset (nothing was written)",
            "│ all",
            "1,001 │         20 │    4",
            "no validation video",
            "'congas'",
        ),
        *(
            "layout: <split>/<class>",
            "1,023 videos",
            "left out: missing_file",
            "4, such as train/drums/c.mp4",
            "10, of which 2 are finished",
        ),
        *("2 videos, spread over those to decode:", "train/drums/a.mp4", "1 too_short"),
        *("100 ms of CPU in 110 ms, 200 kB", "0.5 s of CPU in 0.6 s", "about 160.0 MB, give or take 40.0 MB"),
        *("1 of 2 measured videos are too short for a clip", "format.num_segments=4 keeps them"),
        *("about 1 min 24 s", "about 46.4 s with workers=2", "150 MB", "the disk may be too small"),
    ):
        assert words in text


def test_names_are_printed_as_they_are_but_steer_no_terminal(
    found: Estimate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "[bold]drums[/bold]\\x1b[31m" in printed(found, capsys, monkeypatch)


def test_enough_disk_is_no_warning(
    found: Estimate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = found.calibration.model_copy(update={"rejected": {}, "fitting_segments": None})
    roomy = found.model_copy(update={"free_bytes": 200_000_000, "calibration": long})
    assert "WARNING" not in printed(roomy, capsys, monkeypatch)
    store = roomy.model_copy(update={"free_bytes": None})
    text = printed(store, capsys, monkeypatch)
    assert "not a local folder" in text
    assert "WARNING" not in text


def test_a_plan_of_which_nothing_would_be_kept_says_so(
    found: Estimate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = found.calibration.model_copy(update={"rejected": {"sound_ends_early": 2}, "fitting_segments": None})
    text = printed(found.model_copy(update={"calibration": lost}), capsys, monkeypatch)
    assert "2 of 2 measured videos are too short" in text
    assert "lower format.segment_seconds" in text
    assert "none of the measured videos would be kept" in text


def test_a_finished_data_set_costs_nothing(
    found: Estimate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed(found.model_copy(update={"calibration": NOTHING}), capsys, monkeypatch)
    assert "nothing remains to be decoded" in text
    assert "measured" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(9.34, "9.3 s"), (59.9, "59.9 s"), (250, "4 min 10 s"), (3599.6, "1 h 00 min"), (11_100, "3 h 05 min")],
)
def test_a_duration_is_said_in_two_units(seconds: float, words: str) -> None:
    assert duration(float(seconds)) == words


def test_the_number_of_segments_is_told_with_its_price(found: Estimate) -> None:
    assert "segments per clip" not in dict(facts_of(found))
    count = SegmentCount(
        num_segments=4, segment_seconds=1.0, num_probed=80, lost={"drums": 2}, example="a.mp4", num_lost_with_one_more=9
    )
    facts = dict(facts_of(found.model_copy(update={"segments": count})))
    assert facts["segments per clip"] == (
        "4 of 1 s (format.num_segments=auto): of 80 videos probed 2 (2 of 'drums'; such as 'a.mp4') would be too "
        "short, 9 with one segment more"
    )
