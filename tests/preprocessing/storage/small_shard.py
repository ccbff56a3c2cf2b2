"""A shard of two samples, written without any video."""

from __future__ import annotations

from pathlib import Path

from preprocessing.schema import Rejection, ShardRecord
from preprocessing.storage.records import find_finished
from preprocessing.storage.shards import ShardWriter
from preprocessing.storage.store import Store

NAME = "train/000000.tar"


def begin(shard: ShardWriter) -> None:
    shard.add("b", label=1, source_sha256="b0", members={"frame_00.jpg": b"x" * 700, "json": b"{}"})
    shard.add("-a", label=0, source_sha256="a0", members={"json": b"[]"})


def commit(shard: ShardWriter) -> ShardRecord:
    rejected = (Rejection(file="c.mp4", split="train", reason="no_audio", detail="none"),)
    return shard.commit(split="train", plan_sha256="0" * 64, rejected=rejected, libraries={"av": "1"})


def store_shard(root: str) -> ShardRecord:
    with ShardWriter(Store(root), NAME) as shard:
        begin(shard)
        return commit(shard)


def found(root: Path | str, *, plan_sha256: str = "0" * 64, hashed: bool = False) -> ShardRecord | None:
    finished = find_finished(str(root), NAME, plan_sha256=plan_sha256, hashed=hashed)
    return finished.record if finished else None
