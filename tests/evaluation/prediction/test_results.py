from __future__ import annotations

import csv
import io
import json

from evaluation.prediction.results import Certificate, VideoPrediction, WindowPrediction, lines, most_probable, table

BROKEN = Certificate(
    is_broken=True, threat="linf(video=2/255, audio=2/255)", epsilon_video=2 / 255, epsilon_audio=2 / 255, attack="pgd"
)
DRUMS = {"drums": 0.75, "piano": 0.25}
WINDOWS = (
    WindowPrediction(start_seconds=0, end_seconds=2, probabilities=DRUMS, certificate=BROKEN),
    WindowPrediction(start_seconds=2, end_seconds=4, reason="audio_coverage", detail="sound covers 0.000 of it"),
)
SEEN = VideoPrediction(
    file="a.mp4", class_name="drums", probabilities=DRUMS, video_seconds=4, windows=WINDOWS, certificate=BROKEN
)
REFUSED = VideoPrediction(file="b,c.mp4", reason="no_audio", detail="the file has no audio stream")


def test_a_line_tells_classes_windows_and_budget() -> None:
    assert list(lines(SEEN, top=1, by_time=False)) == [
        "a.mp4: drums 75.0 % (1 of 2 windows); broken at linf(video=2/255, audio=2/255)"
    ]
    assert list(lines(REFUSED, top=3, by_time=True)) == [
        "b,c.mp4: no prediction: no_audio: the file has no audio stream"
    ]


def test_windows_are_told_one_by_one() -> None:
    assert list(lines(SEEN, top=2, by_time=True))[1:] == [
        "  0.00 to 2.00 s: drums 75.0 %, piano 25.0 %; broken at linf(video=2/255, audio=2/255)",
        "  2.00 to 4.00 s: no prediction: audio_coverage: sound covers 0.000 of it",
    ]


def test_a_clip_that_withstands_is_not_called_robust() -> None:
    withstood = BROKEN.model_copy(update={"is_broken": False})
    assert str(withstood) == "not broken by pgd up to linf(video=2/255, audio=2/255)"


def rows(*, by_time: bool) -> list[dict[str, str]]:
    content = table([SEEN, REFUSED], kind=".csv", classes=("drums", "piano"), origin={}, by_time=by_time)
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_csv_has_a_row_per_video() -> None:
    seen, refused = rows(by_time=False)
    assert seen == {
        "file": "a.mp4", "start_seconds": "0.0", "end_seconds": "4.0", "class": "drums", "probability": "0.75",
        "windows": "1", "reason": "", "detail": "", "is_broken": "True", "epsilon_video": repr(2 / 255),
        "epsilon_audio": repr(2 / 255), "probability of drums": "0.75", "probability of piano": "0.25",
    }  # fmt: skip
    assert (refused["file"], refused["class"], refused["start_seconds"]) == ("b,c.mp4", "", "")


def test_a_csv_by_time_has_a_row_per_window() -> None:
    found = rows(by_time=True)
    assert [(row["file"], row["start_seconds"], row["class"], row["reason"]) for row in found] == [
        ("a.mp4", "0.0", "drums", ""),
        ("a.mp4", "2.0", "", "audio_coverage"),
        ("b,c.mp4", "", "", "no_audio"),
    ]


def test_json_has_windows_where_they_are_asked_for() -> None:
    for by_time in (True, False):
        said = json.loads(
            table([SEEN], kind=".json", classes=("drums", "piano"), origin={"model_sha256": "ab"}, by_time=by_time)
        )
        assert said["model_sha256"] == "ab"
        [found] = said["predictions"]
        assert ("windows" in found) == by_time
        assert (found["num_windows"], found["num_classified"]) == (2, 1)
        assert found["certificate"]["epsilon_video"] == 2 / 255


def test_of_nothing_no_class_is_the_most_probable() -> None:
    assert most_probable({}) == ""
    assert most_probable(DRUMS) == "drums"
