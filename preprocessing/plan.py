"""The plan that divides clips into shards: a function of videos, settings and seed, written down before any work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Listing, Video
from preprocessing.datasets.accounting import with_rejected
from preprocessing.datasets.base import Locator
from preprocessing.datasets.leaks import SizedFile, copies_in_other_splits
from preprocessing.datasets.parts import middles_of_parts
from preprocessing.errors import DataError
from preprocessing.schema import PLAN_NAME, SPLITS, Accounting, Count, Key, Rejection, ShardName, Split
from preprocessing.seeds import shuffling_key
from preprocessing.settings import Settings, describe_differences, first_problem
from preprocessing.storage.parsing import MAX_PLAN_BYTES
from preprocessing.storage.store import Store


class PlannedClip(Settings):
    """A clip of a shard."""

    key: Key
    label: Count
    class_name: str
    source: str
    """Path of the video relative to the data set's roots: the first of them that has it is meant."""
    start_seconds: float | None
    source_bytes: Count | None = None
    """Size of the video; None if it is missing. Changes that keep it are found by time and SHA-256."""


class PlannedShard(Settings):
    """A shard and its clips, in the order in which they are stored."""

    name: ShardName
    """`train/000000.tar`."""
    split: Split
    clips: tuple[PlannedClip, ...]


class Plan(Settings):
    """`plan.json`: all that the shards' bytes depend on, except what the videos hold and the libraries' versions.

    The videos' sizes are in it; their SHA-256 and the versions are in each shard's record.
    """

    settings: dict[str, object]
    """The settings that decide what the shards hold."""
    classes: tuple[str, ...]
    shards: tuple[PlannedShard, ...]

    @property
    def num_clips(self) -> int:
        """Clips in all shards."""
        return sum(len(shard.clips) for shard in self.shards)

    def sha256(self) -> str:
        """Names the plan: the same for the same videos, settings and seed."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """The text of `plan.json`."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()


def load_plan(store: Store) -> Plan:
    """Read `plan.json`.

    Raises:
        FileNotFoundError: if there is none.
        DataError: if it is no plan of this version.
        StoreError: if the store does not give it.
    """
    try:
        return Plan.model_validate_json(store.read(PLAN_NAME, max_bytes=MAX_PLAN_BYTES))
    except ValidationError as error:
        raise DataError(f"'{store.url(PLAN_NAME)}' is not a plan of this version: {first_problem(error)}") from error


@dataclass(frozen=True)
class Prepared:
    """All that is known before a video is opened."""

    plan: Plan
    rejected: tuple[Rejection, ...]
    """Files that are no part of the plan, though they may have been meant to be."""
    accounting: Accounting


def prepare_plan(config: PreprocessConfig, listing: Listing) -> Prepared:
    """Lay the clips of a data set into shards; the number of their segments is settled."""
    videos, too_short = middles_of_parts(listing.videos, config.clip_format.clip_seconds)
    plan, more = make_plan(
        replace(listing, videos=videos),
        roots=config.dataset.roots,
        settings=config.fingerprint(),
        shard_size=config.shard_size,
        seed=config.seed,
    )
    rejected = (*too_short, *more)
    used = {clip.source for shard in plan.shards for clip in shard.clips}
    lost = {each.file: each for each in rejected if each.file not in used}  # several clips may be cut from one file
    return Prepared(plan, (*listing.rejected, *rejected), with_rejected(listing.accounting, list(lost.values())))


def make_plan(
    listing: Listing, *, roots: Sequence[Path], settings: dict[str, object], shard_size: int, seed: int
) -> tuple[Plan, tuple[Rejection, ...]]:
    """Lay the videos into shards, and name those that have another's key, or another's bytes in another split.

    Clips are ordered by a hash of seed and key: every shard mixes the classes, whatever order the files lie in.
    """
    unique: dict[str, Video] = {}
    rejected: list[Rejection] = []
    for video in listing.videos:
        if unique.setdefault(video.key, video) is not video:
            detail = f"'{unique[video.key].source.as_posix()}' has the same key"
            rejected.append(
                Rejection(file=video.source.as_posix(), split=video.split, reason="duplicate", detail=detail)
            )
    locator = Locator(roots)
    places = {key: locator.locate(video.source.as_posix()) for key, video in unique.items()}
    clips = {key: planned(video, size_of(places[key][0])) for key, video in unique.items()}
    copies = copies_in_other_splits(
        SizedFile(key, clip.source, *places[key], unique[key].split, clip.source_bytes or 0)
        for key, clip in clips.items()
    )
    rejected += copies.values()
    ordered = sorted(
        (video for key, video in unique.items() if key not in copies), key=lambda video: shuffling_key(seed, video.key)
    )
    shards = [
        PlannedShard(name=f"{split}/{number:06d}.tar", split=split, clips=tuple(clips[video.key] for video in chunk))
        for split in SPLITS
        for number, chunk in enumerate(chunks([video for video in ordered if video.split == split], shard_size))
    ]
    return Plan(settings=settings, classes=listing.classes, shards=tuple(shards)), tuple(rejected)


def chunks(videos: Sequence[Video], size: int) -> list[Sequence[Video]]:
    """Runs of `size` videos; the last one may be shorter."""
    return [videos[start : start + size] for start in range(0, len(videos), size)]


def planned(video: Video, source_bytes: int | None) -> PlannedClip:
    """A video as the plan names it: its root may move."""
    return PlannedClip(
        key=video.key,
        label=video.label,
        class_name=video.class_name,
        source=video.source.as_posix(),
        start_seconds=video.start_seconds,
        source_bytes=source_bytes,
    )


def size_of(path: Path) -> int | None:
    """Bytes of a file; None if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def empty_splits(num_videos: Mapping[str, Mapping[Split, int]]) -> dict[Split, tuple[str, ...]]:
    """The classes without a video, by split; of splits that have none at all every class."""
    found: dict[Split, tuple[str, ...]] = {
        split: tuple(name for name, counts in num_videos.items() if not counts[split]) for split in SPLITS
    }
    return {split: names for split, names in found.items() if names}


def differences(before: Plan, now: Plan) -> list[str]:
    """Differences that keep a run with plan `now` from continuing one with plan `before`, in words."""
    found: list[str] = []
    found += describe_differences(before.settings, now.settings)
    found += describe_differences({"classes": before.classes}, {"classes": now.classes})
    old_clips, new_clips = clips_of(before), clips_of(now)
    both = sorted(old_clips.keys() & new_clips.keys())
    for verb, keys in (
        ("added", sorted(new_clips.keys() - old_clips.keys())),
        ("removed", sorted(old_clips.keys() - new_clips.keys())),
        ("moved or relabelled", [key for key in both if place_of(*old_clips[key]) != place_of(*new_clips[key])]),
        ("changed", [key for key in both if old_clips[key][0].source_bytes != new_clips[key][0].source_bytes]),
    ):
        if keys:
            found.append(f"{len(keys)} videos were {verb}, such as '{keys[0]}'")
    return found


def place_of(clip: PlannedClip, split: Split) -> tuple[PlannedClip, Split]:
    """A clip and its split without what its video holds."""
    return clip.model_copy(update={"source_bytes": None}), split


def clips_of(plan: Plan) -> dict[str, tuple[PlannedClip, Split]]:
    """All planned clips by key, with their split."""
    return {clip.key: (clip, shard.split) for shard in plan.shards for clip in shard.clips}
