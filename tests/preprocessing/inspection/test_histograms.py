from __future__ import annotations

from collections.abc import Callable

from preprocessing.inspection.config import Thresholds
from preprocessing.inspection.histograms import Histogram, histogram, histograms
from preprocessing.inspection.measuring import Measures
from preprocessing.schema import ClipFormat

Make = Callable[..., Measures]


def counts(found: Histogram) -> dict[str, int]:
    return {each.label: each.count for each in found.bins if each.count}


def test_a_value_on_an_edge_belongs_to_the_bin_that_begins_there() -> None:
    found = histogram("", "", [-5, 0, 0.99, 1, 2, 70], edges=(0, 1, 2), labels=("0", "1", "2"))
    assert counts(found) == {"0": 3, "1": 1, "2": 2}
    assert [each.height for each in found.bins] == [100, 100 / 3, 200 / 3]
    assert found.summary == "smallest -5, median 0.995, largest 70"
    assert found.in_words == ": 0: 3, 1: 1, 2: 2"


def test_every_clip_is_in_every_distribution_once(clip: Make) -> None:
    clips = [
        clip("a"),
        clip("b", level_dbfs=-100.0, audio_coverage=0.0, start_seconds=-0.05),
        clip("c", level_dbfs=0.0),
    ]
    found = histograms(clips, Thresholds(), ClipFormat(num_segments=4, segment_seconds=0.5))
    assert all(sum(each.count for each in chart.bins) == 3 for chart in found)
    charts = {chart.title: counts(chart) for chart in found}
    assert charts["Coverage by audio"] == {"0": 1, "100": 2}
    assert charts["Loudness"] == {"silent": 1, "-24": 1, "-6": 1}
    assert charts["Saturation"] == {"0": 3}
    assert charts["Age of frames"] == {"40": 3}
    assert charts["Start of the clip"] == {"< 0": 1, "0": 2}


def test_bins_beyond_a_threshold_are_marked(clip: Make) -> None:
    found = histograms([clip()], Thresholds(), ClipFormat())
    marked = {chart.title: [each.label for each in chart.bins if each.is_suspicious] for chart in found}
    coverage = {title: marked.pop(title) for title in list(marked) if title.startswith("Coverage by ")}
    assert "Coverage by audio" in coverage
    assert all(labels == ["0", "50", "60", "70", "80", "90"] for labels in coverage.values())
    assert marked == {
        "Loudness": ["silent"],
        "Saturation": ["1", "10"],
        "Age of frames": ["500", "1000"],
        "Motion": ["0"],
        "Start of the clip": [],
        "Decode errors": ["1", "2", "3", "5", "10"],
    }


def test_a_clip_of_one_segment_has_no_motion(clip: Make) -> None:
    titles = [chart.title for chart in histograms([clip()], Thresholds(), ClipFormat(num_segments=1))]
    assert "Loudness" in titles
    assert "Motion" not in titles


def test_no_clips_have_no_distributions() -> None:
    assert histograms([], Thresholds(), ClipFormat()) == []
