from __future__ import annotations

from pathlib import Path

from preprocessing.datasets import Video
from preprocessing.datasets.parts import middles_of_parts


def test_of_a_part_of_a_video_the_middle_is_kept_and_a_short_part_is_left_out() -> None:
    """From 10 to 16 s, a clip of 4 s begins at 11 s; 3 s are too few."""
    one, two, three = (
        Video(
            key=f"clip{number}",
            source=Path(f"a/{number}.mp4"),
            label=0,
            class_name="a",
            split="train",
            start_seconds=start,
            end_seconds=end,
        )
        for number, (start, end) in enumerate(((10.0, 16.0), (10.0, 13.0), (5.0, None)))
    )
    videos, rejected = middles_of_parts((one, two, three), 4.0)
    assert [(video.key, video.start_seconds, video.end_seconds) for video in videos] == [
        ("clip0", 11.0, None),
        ("clip2", 5.0, None),
    ]
    (rejection,) = rejected
    assert (rejection.file, rejection.reason) == ("a/1.mp4", "too_short")
    assert rejection.detail == "its list gives 3 s of it, a clip has 4 s"
