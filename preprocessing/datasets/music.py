"""MUSIC: YouTube videos of musicians, minutes long, as listed by https://github.com/roudimit/MUSIC_dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import pydantic_core
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from preprocessing.datasets.base import Video, printable
from preprocessing.datasets.class_lists import all_classes
from preprocessing.datasets.entries import Annotations, Entry, list_files, passed_over
from preprocessing.datasets.tables import read_text, shown
from preprocessing.datasets.youtube import YouTubeDataset
from preprocessing.errors import DataError
from preprocessing.schema import ListRead

ENDINGS = (".json",)
FORM = '{"videos": {"instrument": ["id", ...]}}'


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
        return list_files(self.roots, ENDINGS)

    def read_annotations(self, path: Path) -> Annotations:
        """The videos of a public list with a known instrument; another kind of JSON is passed over.

        Raises:
            PlaceError: if the file is missing.
            DataError: if it is not JSON, lists something else than ids, or is meant and is another kind of JSON.
        """
        text = read_text(path)
        try:
            content = pydantic_core.from_json(text.text)
        except ValueError as error:
            raise DataError(f"'{path}' is not JSON: {error}") from error
        videos = content.get("videos") if isinstance(content, dict) else None
        if not isinstance(videos, dict):
            if path in self.annotations:
                raise DataError(f"dataset.annotations: '{path}': expected {FORM}, got {shown(text.text)}")
            return passed_over(path, "another kind of JSON")
        known = all_classes(self.class_lists)
        entries: list[Entry] = []
        unknown: list[str] = []
        for instrument, youtube_ids in videos.items():
            where = f"'{path.name}' under '{instrument}'"
            if not isinstance(youtube_ids, list) or not all(isinstance(each, str) for each in youtube_ids):
                raise DataError(f"{where}: expected a list of YouTube ids, got {youtube_ids!r}")
            if class_name := known.find(instrument):
                entries += [Entry(youtube_id, None, class_name, None, where) for youtube_id in youtube_ids]
            else:
                unknown += [instrument] * len(youtube_ids)
        reason = f"{len(unknown):,} videos of other classes, such as {unknown[0]!r}" if unknown else ""
        num_rows = len(entries) + len(unknown)
        read_as = f"JSON, {text.encoding}"
        read = ListRead(file=printable(path), read_as=read_as, num_rows=num_rows, num_used=len(entries), reason=reason)
        return Annotations(tuple(entries), read)

    def clips_of(self, video: Video) -> Iterator[Video]:
        """The clips of a video, named after the millisecond at which they start; all in the video's split."""
        if self.clips_per_video == 1:
            yield video
            return
        for number in range(self.clips_per_video):
            start = self.first_clip_seconds + number * self.clip_spacing_seconds
            key = f"{video.key}_{round(1000 * start):08d}ms"
            yield video.model_copy(update={"key": key, "start_seconds": start})
