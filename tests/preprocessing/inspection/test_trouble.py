from __future__ import annotations

from collections.abc import Callable

import pytest

from preprocessing.inspection.config import Thresholds
from preprocessing.inspection.measuring import Measures
from preprocessing.inspection.trouble import find_trouble, suspicions
from preprocessing.schema import ClipFormat

Make = Callable[..., Measures]
FORMAT = ClipFormat(num_segments=4, segment_seconds=0.5)


def test_a_good_clip_is_not_suspicious(clip: Make) -> None:
    assert suspicions(clip(), Thresholds(), FORMAT) == ()


@pytest.mark.parametrize(
    ("changes", "kind", "detail"),
    [
        ({"audio_coverage": 0.94}, "little audio", "audio covers 94 % of the clip"),
        ({"level_dbfs": -60.1}, "silent", "sound at -60 dBFS"),
        ({"decode_errors": 1}, "decode errors", "1 packet did not decode"),
        ({"decode_errors": 3}, "decode errors", "3 packets did not decode"),
        ({"missing_frames": 2}, "missing frames", "2 frames did not decode"),
        ({"saturation_share": 0.031}, "saturated", "3.1 % of the log-mel is clipped"),
        ({"frame_age_seconds": 0.9}, "picture hangs", "a frame is 0.90 s old at its segment's middle"),
        ({"contrast_levels": 1.5}, "blank picture", "contrast of 1.5 levels of 255"),
        ({"motion_levels": 0.25}, "still picture", "frames differ by 0.25 levels of 255"),
    ],
)
def test_each_trouble_has_a_name_and_its_number(clip: Make, changes: dict[str, float], kind: str, detail: str) -> None:
    (found,) = suspicions(clip(**changes), Thresholds(), FORMAT)
    assert (found.kind, found.detail) == (kind, detail)


@pytest.mark.parametrize(
    ("changes", "loose"),
    [
        ({"audio_coverage": 0.5}, {"min_coverage": 0.5}),
        ({"level_dbfs": -80.0}, {"silence_dbfs": -90}),
        ({"decode_errors": 2}, {"max_decode_errors": 2}),
        ({"missing_frames": 1}, {"max_missing_frames": 1}),
        ({"saturation_share": 0.1}, {"max_saturation_share": 0.1}),
        ({"frame_age_seconds": 1.0}, {"max_frame_age_seconds": 1.0}),
        ({"contrast_levels": 1.0}, {"min_contrast_levels": 1.0}),
        ({"motion_levels": 0.0}, {"min_motion_levels": 0.0}),
    ],
)
def test_each_threshold_can_be_moved(clip: Make, changes: dict[str, float], loose: dict[str, float]) -> None:
    assert suspicions(clip(**changes), Thresholds(), FORMAT)
    assert not suspicions(clip(**changes), Thresholds.model_validate(loose), FORMAT)


def test_a_blank_picture_is_not_also_a_still_one(clip: Make) -> None:
    (found,) = suspicions(clip(contrast_levels=0.0, motion_levels=0.0), Thresholds(), FORMAT)
    assert found.kind == "blank picture"


def test_a_clip_of_one_segment_cannot_stand_still(clip: Make) -> None:
    assert suspicions(clip(motion_levels=0.0), Thresholds(), ClipFormat(num_segments=1)) == ()


def test_kinds_are_counted_and_shown_in_turn_the_worst_first(clip: Make) -> None:
    """Three silent clips, one of which has decode errors, too: it is shown once."""
    clips = [
        clip("good"),
        clip("silent", level_dbfs=-70.0),
        clip("more-silent", level_dbfs=-80.0),
        clip("most-silent", level_dbfs=-90.0, decode_errors=1),
        clip("broken", decode_errors=3),
        clip("half", audio_coverage=0.5),
    ]
    trouble = find_trouble(clips, Thresholds(), FORMAT)
    assert trouble.counts == [("silent", 3), ("decode errors", 2), ("little audio", 1)]
    shown = [each.record.key for each in trouble.worst(4)]
    assert set(shown[:3]) == {"most-silent", "broken", "half"}
    assert shown[3] == "more-silent"
    assert len(trouble.worst(100)) == 5
