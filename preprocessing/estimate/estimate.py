"""An estimate of what a run of `preprocess` would do and cost: `plan=true`.

Nothing is written and Ray is not started.
"""

from __future__ import annotations

import heapq
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from preprocessing.checks.output import refuse_another
from preprocessing.config import PreprocessConfig
from preprocessing.datasets.base import normalised, split_named
from preprocessing.errors import PlaceError
from preprocessing.estimate.calibration import NOTHING, NUM_MEASURED, Calibration, calibrate, spread
from preprocessing.estimate.segment_count import SegmentCount, settled
from preprocessing.inspection.stored import load_records
from preprocessing.plan import Plan, PlannedClip, prepare_plan
from preprocessing.schema import PLAN_NAME, Accounting, Split
from preprocessing.settings import Settings
from preprocessing.storage.shards import END_OF_ARCHIVE
from preprocessing.storage.store import Store


class Estimate(Settings):
    """The work, time and space that a run would take."""

    output: str
    segments: SegmentCount | None = None
    """The number of segments per clip and its reason, if `auto` was asked for."""
    num_videos: dict[str, dict[Split, int]]
    """Videos in the plan by class and split; those that are not there are counted, too."""
    layouts: dict[str, int]
    """Videos by the shape of their path, such as `<split>/<class>`."""
    accounting: Accounting
    """All that was seen in the folders and lists, against what is used."""
    rejected: dict[str, int]
    """Videos that are left out whatever they hold, by reason: `missing_file`, `bad_name`, `duplicate`, ..."""
    examples: dict[str, str]
    """One of those files for each reason."""
    num_shards: int
    num_finished: int
    """Shards that an earlier run finished: their record and size are right. The run also checks their SHA-256."""
    num_remaining: int
    """Videos to decode: those of the other shards that are there."""
    workers: int
    calibration: Calibration
    """Cost of a few videos; of none if none remain."""
    remaining_bytes: int
    """Size of the shards to be written."""
    bytes_error: int
    """Two standard errors of that size, from how much the measured videos differ."""
    cpu_seconds: float
    wall_seconds: float
    """With `workers` shards at once at the present load of the cores, without the time that Ray takes to start."""
    free_bytes: int | None
    """Free disk at the output; None if it is no local folder."""

    @property
    def is_disk_too_small(self) -> bool:
        """True if the output may not have the room."""
        return self.free_bytes is not None and self.remaining_bytes + self.bytes_error > self.free_bytes


def estimate(config: PreprocessConfig) -> Estimate:
    """Find out what `preprocess(config)` would do, without doing it.

    Raises:
        ValueError: if there are no videos, or the run would be refused because `output` holds another data set.
    """
    roots, store = config.dataset.roots, Store(config.output)
    if absent := [root for root in roots if not root.is_dir()]:
        raise PlaceError(f"dataset.root='{absent[0]}' is not a folder, and plan=true makes none")
    listing = config.dataset.listing()
    config, segments = settled(config, listing.videos, store)
    prepared = prepare_plan(config, listing)
    plan = prepared.plan
    if store.size(PLAN_NAME) is not None:
        refuse_another(store, plan)
    missing = {clip.key for shard in plan.shards for clip in shard.clips if clip.source_bytes is None}
    rejected = [(rejection.reason, rejection.file) for rejection in prepared.rejected]
    rejected += [("missing_file", clip.source) for shard in plan.shards for clip in shard.clips if clip.key in missing]
    finished = finished_shards(store, plan)
    remaining = [shard for shard in plan.shards if shard.name not in finished]
    to_decode = [[clip for clip in shard.clips if clip.key not in missing] for shard in remaining]
    num_clips = [len(clips) for clips in to_decode]
    chosen = spread([clip for clips in to_decode for clip in clips], NUM_MEASURED)
    cost = calibrate(config, chosen) if chosen else NOTHING
    workers = config.workers or os.cpu_count() or 1
    return Estimate(
        output=config.output,
        segments=segments,
        num_videos=count_videos(plan),
        layouts=layouts_of(plan),
        accounting=prepared.accounting,
        rejected=dict(Counter(reason for reason, _ in rejected).most_common()),
        examples=dict(reversed(rejected)),
        num_shards=len(plan.shards),
        num_finished=len(finished),
        num_remaining=sum(num_clips),
        workers=workers,
        calibration=cost,
        remaining_bytes=len(remaining) * len(END_OF_ARCHIVE) + round(sum(num_clips) * cost.clip_bytes),
        bytes_error=round(sum(num_clips) * cost.clip_bytes_error),
        cpu_seconds=len(remaining) * cost.start_cpu_seconds + sum(num_clips) * cost.clip_cpu_seconds,
        wall_seconds=wall_seconds(num_clips, cost, workers=workers),
        free_bytes=free_bytes(store),
    )


def count_videos(plan: Plan) -> dict[str, dict[Split, int]]:
    """Planned videos by class, in label order, and split."""
    counts: dict[str, dict[Split, int]] = {name: {"train": 0, "validation": 0, "test": 0} for name in plan.classes}
    for shard in plan.shards:
        for clip in shard.clips:
            counts[clip.class_name][shard.split] += 1
    return counts


def layouts_of(plan: Plan) -> dict[str, int]:
    """Planned videos by the layout of their folders, which is looked at once for the videos of a folder."""
    of_folders: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], PlannedClip] = {}
    for shard in plan.shards:
        for clip in shard.clips:
            folder = clip.source.rpartition("/")[0], clip.class_name
            of_folders[folder] += 1
            examples[folder] = clip
    found: Counter[str] = Counter()
    for folder, count in of_folders.items():
        found[layout(examples[folder])] += count
    return dict(found.most_common())


def layout(clip: PlannedClip) -> str:
    """The folders of a video, those that name its class or a split by what they name."""

    def place(folder: str) -> str:
        if normalised(folder) == normalised(clip.class_name):
            return "<class>"
        return "<split>" if split_named(folder) else folder

    return "/".join(map(place, Path(clip.source).parts[:-1])) or "flat"


def finished_shards(store: Store, plan: Plan) -> set[str]:
    """Names of the shards that are there, as far as their record and size tell."""
    if store.size(PLAN_NAME) is None:
        return set()
    records, _ = load_records(store.root, [shard.name for shard in plan.shards], plan_sha256=plan.sha256())
    return {record.name for record in records if store.size(record.name) == record.bytes}


def wall_seconds(clips_of_shards: Sequence[int], calibration: Calibration, *, workers: int) -> float:
    """Seconds that shards of so many clips take, each done by the first worker that is free."""
    ends = [0.0] * workers
    for num_clips in clips_of_shards:
        seconds = calibration.start_wall_seconds + num_clips * calibration.clip_wall_seconds
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def free_bytes(store: Store) -> int | None:
    """Free disk where a store is or would be made; None if it is elsewhere."""
    folder = store.folder
    if folder is None:
        return None
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
