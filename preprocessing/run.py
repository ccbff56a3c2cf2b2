"""The start of preprocessing: videos -> plan -> one Ray task per shard -> `dataset.json`."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

from rich.console import Console

from preprocessing.building import BuiltShard
from preprocessing.checks.output import begin
from preprocessing.checks.verify import content_hash, verify
from preprocessing.cluster.shared_places import Landmark, landmarks, require_shared
from preprocessing.cluster.tasks import build_all, shared_places
from preprocessing.config import PreprocessConfig
from preprocessing.datasets.accounting import lines, some
from preprocessing.errors import DataError
from preprocessing.estimate.segment_count import settled
from preprocessing.plan import Plan, empty_splits, prepare_plan
from preprocessing.reporting.csv_text import csv_text
from preprocessing.reporting.progress import Progress
from preprocessing.reporting.table import FoldedTable
from preprocessing.schema import (
    INDEX_NAME,
    REJECTED_NAME,
    SPLITS,
    Accounting,
    DatasetIndex,
    Rejection,
    ShardRecord,
    ShardSummary,
    Split,
)
from preprocessing.settings import Settings
from preprocessing.storage.atomic_file import remove_abandoned, write_file
from preprocessing.storage.libraries import describe_difference
from preprocessing.storage.places import join, require_writable
from preprocessing.storage.store import Store

__all__ = ["Summary", "TooManyRejectedError", "preprocess", "verify"]

logger = logging.getLogger(__name__)


class TooManyRejectedError(DataError):
    """More videos were left out than `max_rejected_share` allows."""


class Summary(Settings):
    """The numbers that a run of `preprocess` reports."""

    output: str
    classes: tuple[str, ...]
    num_clips: dict[Split, int]
    """Clips in the data set by split."""
    num_rejected: dict[str, int]
    """Videos left out by reason."""
    shards_written: int
    shards_reused: int
    """Shards that an earlier run had finished."""
    seconds: float
    accounting: Accounting
    """All that was seen in the folders and lists, against what is used."""
    empty: dict[Split, tuple[str, ...]]
    """The classes without a clip, by split."""


def preprocess(config: PreprocessConfig) -> Summary:
    """Turn the videos of `config.dataset` into the data set `config.output`; Ray must be initialised.

    Run again after any interruption: it continues, and ends with the same bytes. A finished data set is left as it is;
    with `config.repair` what is damaged in it is built again. Several runs at once with the same settings do each
    other no harm: they write the same bytes.

    Raises:
        UserError: if there are no videos, `output` cannot be written or holds another data set (the message says what
            differs), a node does not see the same folders, or videos have changed since their shards were built.
        TooManyRejectedError: if more than `config.max_rejected_share` of the videos are left out.
        StoreError: if `output` cannot be read or written, such as on a full disk.
        BuildError: if a shard cost too many worker processes their lives.
    """
    started = time.monotonic()
    store = Store(config.output)
    require_writable(config.output)
    config.dataset.prepare()
    listing = config.dataset.listing()
    config, _ = settled(config, listing.videos, store)
    prepared = prepare_plan(config, listing)
    plan, outside = prepared.plan, prepared.rejected
    places = shared_places(config, plan)
    require_shared(*places)
    begin(store, plan)
    logger.info(
        "%d videos of %d classes in %d shards, to '%s'",
        plan.num_clips,
        len(plan.classes),
        len(plan.shards),
        config.output,
    )
    most_rejected = config.max_rejected_share * (plan.num_clips + len(outside))
    with landmarks(*places) as known:
        built = build(config, plan, store, most_rejected=most_rejected - len(outside), known=known)
    records = [built[shard.name].record for shard in plan.shards if shard.name in built]
    rejected = [*outside, *(rejection for record in records for rejection in record.rejected)]
    write_file(store, REJECTED_NAME, rejected_csv(rejected))
    if len(rejected) > most_rejected:
        raise TooManyRejectedError(too_many_rejected(config, rejected, plan.num_clips + len(outside)))
    index = make_index(config, plan, records, num_rejected=len(rejected), accounting=prepared.accounting)
    write_file(store, INDEX_NAME, index.model_dump_json(indent=1).encode() + b"\n")
    summary = Summary(
        output=config.output,
        classes=plan.classes,
        num_clips=index.num_clips,
        num_rejected=dict(Counter(rejection.reason for rejection in rejected).most_common()),
        shards_written=sum(not shard.reused for shard in built.values()),
        shards_reused=sum(shard.reused for shard in built.values()),
        seconds=round(time.monotonic() - started, 1),
        accounting=prepared.accounting,
        empty=empty_splits(count_clips(plan, records)),
    )
    show(summary)
    return summary


def build(
    config: PreprocessConfig, plan: Plan, store: Store, *, most_rejected: float, known: tuple[Landmark, ...]
) -> dict[str, BuiltShard]:
    """The finished shards by name; without the rest as soon as more than `most_rejected` clips are left out."""
    built: dict[str, BuiltShard] = {}
    log = ShardLog(num_clips=plan.num_clips, num_shards=len(plan.shards))
    environments = Environments()
    try:
        with closing(build_all(config, plan, output=store.everywhere, known=known)) as shards:
            for shard in shards:
                refuse_changed_videos(shard)
                built[shard.record.name] = shard
                log.add(shard)
                environments.compare(shard.record)
                if log.num_rejected > most_rejected:
                    break
    finally:
        remove_abandoned(store)
    return built


def refuse_changed_videos(shard: BuiltShard) -> None:
    """Stop if a finished shard was made from other videos than those that are there now."""
    if shard.changed:
        raise DataError(
            f"{len(shard.changed)} videos have changed since shard '{shard.record.name}' was built, such as "
            f"'{shard.changed[0]}': put them back, add repair=true to build the shards with changed videos again, or "
            "choose another output"
        )


class Environments:
    """Warns once when shards of one data set were built with different versions of libraries."""

    def __init__(self) -> None:
        self._first: ShardRecord | None = None
        self._has_warned = False

    def compare(self, record: ShardRecord) -> None:
        """Compare a shard with the first one."""
        self._first = self._first or record
        difference = describe_difference(self._first.libraries, record.libraries)
        if difference and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "'%s' and '%s' were built with different versions: %s. The clips are valid, but their bytes may differ "
                "from those of one environment; for equal bytes build all in one, into another output",
                self._first.name,
                record.name,
                difference,
            )


class ShardLog:
    """The log of a run: one line per shard that says how far the run is, how fast, and how long it will take."""

    def __init__(self, *, num_clips: int, num_shards: int) -> None:
        self.num_rejected = 0
        self._num_shards = num_shards
        self._shards_done = 0
        self._progress = Progress(num_clips)

    def add(self, shard: BuiltShard) -> None:
        """Count a finished shard and say so."""
        rejected = len(shard.record.rejected)
        clips = len(shard.record.samples) + rejected
        self.num_rejected += rejected
        self._shards_done += 1
        count = self._progress.skip if shard.reused else self._progress.add
        count(clips)
        logger.info(
            "%s %s: %d/%d shards, %d/%d clips, %d rejected, %.1f clips/s, %s",
            "kept" if shard.reused else "wrote",
            shard.record.name,
            self._shards_done,
            self._num_shards,
            self._progress.done,
            self._progress.total,
            self.num_rejected,
            self._progress.rate,
            self._progress.time_left(),
        )


def make_index(
    config: PreprocessConfig, plan: Plan, records: Sequence[ShardRecord], *, num_rejected: int, accounting: Accounting
) -> DatasetIndex:
    """Make `dataset.json`; shards that lost all their clips are not part of the data set."""
    kept = [record for record in records if record.samples]
    return DatasetIndex(
        name=config.dataset.name,
        format=config.clip_format,
        classes=plan.classes,
        num_clips={split: sum(len(r.samples) for r in kept if r.split == split) for split in SPLITS},
        num_rejected=num_rejected,
        shards={split: tuple(summarise(r) for r in kept if r.split == split) for split in SPLITS},
        accounting=accounting,
        plan_sha256=plan.sha256(),
        content_sha256=content_hash([record.sha256 for record in kept]),
        config=config.model_dump(mode="json", exclude={"plan", "repair", "max_wait_minutes"}),
    )


def count_clips(plan: Plan, records: Sequence[ShardRecord]) -> dict[str, dict[Split, int]]:
    """Stored clips by class, in label order, and split."""
    counts: dict[str, dict[Split, int]] = {name: dict.fromkeys(SPLITS, 0) for name in plan.classes}
    for record in records:
        for sample in record.samples:
            counts[plan.classes[sample.label]][record.split] += 1
    return counts


def summarise(record: ShardRecord) -> ShardSummary:
    """A shard as `dataset.json` lists it."""
    return ShardSummary(name=record.name, num_samples=len(record.samples), bytes=record.bytes, sha256=record.sha256)


def rejected_csv(rejected: Sequence[Rejection]) -> bytes:
    """The text of `rejected.csv`, sorted by file."""
    rows = sorted(tuple(rejection.model_dump().values()) for rejection in rejected)
    return csv_text([list(Rejection.model_fields), *rows]).encode()


def too_many_rejected(config: PreprocessConfig, rejected: Sequence[Rejection], num_videos: int) -> str:
    """The message of a job that left out too many videos, with the place to look."""
    counts = Counter(rejection.reason for rejection in rejected).most_common()
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts)
    wanted = (
        f"{config.clip_format.clip_seconds:g} s are wanted of each: set format.num_segments=auto or a lower number, or "
        "lower format.segment_seconds"
    )
    return (
        f"{len(rejected)} of {num_videos} videos were left out ({reasons}), more than max_rejected_share="
        f"{config.max_rejected_share:g}; '{join(config.output, REJECTED_NAME)}' lists them"
        + (f". {wanted}" if counts[0][0] == "too_short" else "")
    )


def show(summary: Summary) -> None:
    """Print what the run did."""
    table = FoldedTable(title=f"Data set {summary.output}", title_justify="left", show_header=False)
    for row in lines(summary.accounting):
        table.add_row(*row)
    table.add_section()
    for split, count in summary.num_clips.items():
        table.add_row(f"{split} clips", f"{count:,}")
    for split, names in summary.empty.items():
        table.add_row(f"no {split} clip", some(map(repr, names)))
    table.add_row("classes", str(len(summary.classes)))
    for reason, count in summary.num_rejected.items():
        table.add_row(f"rejected: {reason}", f"{count:,}")
    table.add_row("shards written", f"{summary.shards_written:,}")
    table.add_row("shards reused", f"{summary.shards_reused:,}")
    table.add_row("seconds", f"{summary.seconds:,.1f}")
    Console().print(table)
