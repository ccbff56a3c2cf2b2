"""An estimate as two tables on the terminal."""

from __future__ import annotations

from rich.console import Console

from preprocessing.datasets.accounting import lines, some
from preprocessing.estimate.calibration import TOO_SHORT
from preprocessing.estimate.estimate import Estimate
from preprocessing.plan import empty_splits
from preprocessing.reporting.table import FoldedTable
from preprocessing.schema import SPLITS


def show(found: Estimate) -> None:
    """Print an estimate."""
    console = Console()
    videos = FoldedTable(title="Videos by class and split", title_justify="left")
    videos.add_column("class")
    for split in SPLITS:
        videos.add_column(split, justify="right")
    for name, counts in found.num_videos.items():
        videos.add_row(name, *(f"{count:,}" for count in counts.values()))
    totals = (sum(column) for column in zip(*(counts.values() for counts in found.num_videos.values()), strict=True))
    videos.add_section()
    videos.add_row("all", *(f"{total:,}" for total in totals))
    console.print(videos)
    seen = FoldedTable(
        title="Seen in folders and lists, before any video is opened", title_justify="left", show_header=False
    )
    for row in lines(found.accounting):
        seen.add_row(*row)
    console.print(seen)
    facts = FoldedTable(title=f"Plan for {found.output} (nothing was written)", title_justify="left", show_header=False)
    for row in facts_of(found):
        facts.add_row(*row)
    console.print(facts)


def facts_of(found: Estimate) -> list[tuple[str, str]]:
    """The lines of the second table: what is said, and its value."""
    rows = [(f"layout: {name}", f"{count:,} videos") for name, count in found.layouts.items()]
    rows += [
        (f"left out: {reason}", f"{count:,}, such as {found.examples[reason]}")
        for reason, count in found.rejected.items()
    ]
    rows += [(f"no {split} video", some(map(repr, names))) for split, names in empty_splits(found.num_videos).items()]
    if found.segments is not None:
        rows.append(("segments per clip", str(found.segments)))
    rows += [
        ("shards", f"{found.num_shards:,}, of which {found.num_finished:,} are finished"),
        ("videos to decode", f"{found.num_remaining:,}"),
    ]
    calibration = found.calibration
    if not calibration.files:
        return [*rows, ("cost", "nothing remains to be decoded")]
    rejected = ", ".join(f"{count} {reason}" for reason, count in calibration.rejected.items())
    rows += [
        ("measured", f"{len(calibration.files)} videos, spread over those to decode:\n" + "\n".join(calibration.files)),
        ("of these left out", rejected or "none"),
        (
            "one clip",
            f"{1000 * calibration.clip_cpu_seconds:.0f} ms of CPU in {1000 * calibration.clip_wall_seconds:.0f} ms, "
            f"{calibration.clip_bytes / 1e3:,.0f} kB (means of those measured)",
        ),
        (
            "one shard's start",
            f"{calibration.start_cpu_seconds:.1f} s of CPU in {calibration.start_wall_seconds:.1f} s",
        ),
        (
            "size of all",
            f"about {found.remaining_bytes / 1e6:,.1f} MB, give or take {found.bytes_error / 1e6:,.1f} MB "
            "(a clip's x videos to decode)",
        ),
        ("CPU time of all", f"about {duration(found.cpu_seconds)} (a clip's x videos + a start's x shards)"),
        (
            "time",
            f"about {duration(found.wall_seconds)} with workers={found.workers} at the present load, "
            "without the start of Ray",
        ),
        (
            "free at the output",
            "not a local folder" if found.free_bytes is None else f"{found.free_bytes / 1e6:,.0f} MB",
        ),
    ]
    return rows + warnings_of(found)


def warnings_of(found: Estimate) -> list[tuple[str, str]]:
    """The lines that say what should be changed before the run."""
    rows: list[tuple[str, str]] = []
    calibration = found.calibration
    if num_short := sum(calibration.rejected.get(reason, 0) for reason in TOO_SHORT):
        fitting = calibration.fitting_segments
        remedy = (
            f"format.num_segments={fitting} keeps them, auto nearly all" if fitting else "lower format.segment_seconds"
        )
        rows.append(
            (
                "WARNING",
                f"{num_short} of {len(calibration.files)} measured videos are too short for a clip and would be left "
                f"out: {remedy}, rules.missing_tail=pad fills them up",
            )
        )
    if sum(calibration.rejected.values()) == len(calibration.files):
        rows.append(("WARNING", "none of the measured videos would be kept: the run would most likely stop in the end"))
    if found.is_disk_too_small:
        rows.append(("WARNING", "the disk may be too small for the shards: free some of it or choose another output"))
    return rows


def duration(seconds: float) -> str:
    """`9.3 s`, `4 min 10 s`, `3 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
