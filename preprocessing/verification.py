"""Whether a data set is whole: every hash, count and key."""

from __future__ import annotations

import hashlib
import tarfile

from pydantic import ValidationError

from preprocessing.schema import DatasetIndex, ShardRecord, ShardSummary, load_index, load_shard_record
from preprocessing.shards import shard_problems, stored_keys

REBUILD = "run the `python -m pipeline preprocess` command that made it again: it rebuilds what is damaged"


def verify(root: str) -> list[str]:
    """Everything that is wrong with the data set at `root`, one line each; empty if it is whole.

    A damaged shard is a problem that names it and the way to rebuild it, never an exception.
    """
    try:
        index = load_index(root)
    except (ValueError, OSError) as error:
        return [str(error)]
    problems: list[str] = []
    keys: dict[str, str] = {}
    for split, shards in index.shards.items():
        num_samples = 0
        for summary in shards:
            try:
                record = load_shard_record(root, summary.name)
            except (OSError, ValidationError) as error:
                problems.append(f"the record of '{summary.name}' cannot be read ({error}); {REBUILD}")
                continue
            num_samples += len(record.samples)
            problems += [f"{problem}; {REBUILD}" for problem in problems_of_shard(root, record, summary)]
            for sample in record.samples:
                other = keys.setdefault(sample.key, record.name)
                if other != record.name:
                    problems.append(f"'{record.name}': key '{sample.key}' is also in '{other}'")
        if num_samples != index.num_clips[split]:
            problems.append(f"split '{split}' has {num_samples} clips, dataset.json says {index.num_clips[split]}")
    if content_sha256(index) != index.content_sha256:
        problems.append("dataset.json: content_sha256 does not follow from its shards")
    return problems


def problems_of_shard(root: str, record: ShardRecord, summary: ShardSummary) -> list[str]:
    """What is wrong with one shard: its bytes, its keys, or what `dataset.json` says about it."""
    problems = shard_problems(root, record)
    if (record.sha256, record.bytes, len(record.samples)) != (summary.sha256, summary.bytes, summary.num_samples):
        problems.append(f"'{record.name}': its record and dataset.json disagree")
    if problems:
        return problems
    expected = [sample.key for sample in record.samples]
    try:
        found = stored_keys(root, record)
    except (tarfile.TarError, OSError) as error:
        return [f"'{record.name}' is no readable tar: {error}"]
    if found != expected:
        wrong = next(
            (pair for pair in zip(found, expected, strict=False) if pair[0] != pair[1]), (len(found), len(expected))
        )
        return [f"'{record.name}': found key {wrong[0]!r} where its record says {wrong[1]!r}"]
    return []


def content_sha256(index: DatasetIndex) -> str:
    """SHA-256 over the shards' SHA-256 in order: names the exact data."""
    return content_hash([shard.sha256 for shards in index.shards.values() for shard in shards])


def content_hash(shard_hashes: list[str]) -> str:
    """SHA-256 over hexadecimal hashes, one a line."""
    return hashlib.sha256("".join(f"{line}\n" for line in shard_hashes).encode()).hexdigest()
