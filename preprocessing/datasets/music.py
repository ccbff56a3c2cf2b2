"""MUSIC: YouTube videos of musicians, minutes long, as listed by https://github.com/roudimit/MUSIC_dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from preprocessing.datasets.base import Video
from preprocessing.datasets.class_lists import all_classes
from preprocessing.datasets.entries import Entry
from preprocessing.datasets.youtube import YouTubeDataset
from preprocessing.errors import DataError, PlaceError


class Music(YouTubeDataset):
    """MUSIC (The Sound of Pixels) and MUSIC-21 (The Sound of Motions), as downloaded: `<11-character id>.mp4`.

    Files may lie in folders named after their instrument, or flat beside the public lists (MUSIC_solo_videos.json,
    MUSIC21_solo_videos.json, MUSIC_duet_videos.json: `{"videos": {"instrument": ["id", ...]}}`). Listed videos without
    a file are counted as `missing_file`. Videos in no split's folder are divided by `shares`.
    """

    class_lists: ClassVar[tuple[str, ...]] = ("music11", "music21", "music_duets")
    expected_files: ClassVar[str] = (
        "<id>.mp4 in folders named after their instrument, or flat with MUSIC_solo_videos.json, "
        "MUSIC21_solo_videos.json or MUSIC_duet_videos.json beside them"
    )

    name: Literal["music"] = "music"
    classes: str | tuple[str, ...] = "music11"
    """`music11`, `music21`, `music_duets`, or names of instruments in label order; labels never depend on which files
    there are."""
    clips_per_video: PositiveInt = 1
    """Clips cut out of each video. 1: its middle. More: at the times below; one that passes the video's end is left out
    like any video that is too short."""
    first_clip_seconds: NonNegativeFloat = 0.0
    """Start of the first of several clips."""
    clip_spacing_seconds: PositiveFloat = 20.0
    """Seconds from the start of one of several clips to the start of the next."""

    def annotation_files(self) -> Sequence[Path]:
        """The JSON files in the roots and in their folders `annotations`."""
        folders = (folder for root in self.roots for folder in (root, root / "annotations"))
        return [path for folder in folders for path in sorted(folder.glob("*.json"))]

    def read_annotations(self, path: Path) -> Iterator[Entry]:
        """The videos of a public list with a known instrument; none if the file is another kind of JSON.

        Raises:
            ValueError: if the file is missing, not JSON, or lists something else than ids.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise PlaceError(f"dataset.annotations: '{path}' does not exist") from error
        except ValueError as error:
            raise DataError(f"'{path}' is not JSON: {error}") from error
        videos = content.get("videos") if isinstance(content, dict) else None
        if not isinstance(videos, dict):
            return
        known = all_classes(self.class_lists)
        for instrument, youtube_ids in videos.items():
            class_name = known.find(instrument)
            if class_name is None:
                continue
            where = f"'{path.name}' under '{instrument}'"
            if not isinstance(youtube_ids, list) or not all(isinstance(each, str) for each in youtube_ids):
                raise DataError(f"{where}: expected a list of YouTube ids, got {youtube_ids!r}")
            for youtube_id in youtube_ids:
                yield Entry(youtube_id, None, class_name, None, where)

    def clips_of(self, video: Video) -> Iterator[Video]:
        """The clips of a video, named after the millisecond at which they start; all in the video's split."""
        if self.clips_per_video == 1:
            yield video
            return
        for number in range(self.clips_per_video):
            start = self.first_clip_seconds + number * self.clip_spacing_seconds
            key = f"{video.key}_{round(1000 * start):08d}ms"
            yield video.model_copy(update={"key": key, "start_seconds": start})
