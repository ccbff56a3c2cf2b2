"""A shard: a plain tar of fixed bytes that shows under its name only when it is whole."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import fsspec
import pytest

from preprocessing.schema import Rejection, ShardRecord, load_shard_record
from preprocessing.shards import (
    TEMPORARY_PREFIX,
    ShardWriter,
    finished_record,
    remove_unfinished,
    shard_problems,
    stored_keys,
    write_file,
)

NAME = "train/000000.tar"


def write_shard(root: str) -> ShardRecord:
    with ShardWriter(root, NAME) as shard:
        shard.add("b", label=1, members={"frame_00.jpg": b"x" * 700, "json": b"{}"})
        shard.add("-a", label=0, members={"json": b"[]"})
        rejected = (Rejection(file="c.mp4", split="train", reason="no_audio", detail="none"),)
        return shard.commit(split="train", plan_sha256="0" * 64, rejected=rejected)


def test_the_tar_opens_everywhere_and_the_record_says_where_all_lies(tmp_path: Path) -> None:
    record = write_shard(str(tmp_path))
    data = (tmp_path / NAME).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["b.frame_00.jpg", "b.json", "-a.json"]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in archive} == {(0, 0, 0, "", 0o644)}
    assert (record.bytes, record.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    for sample in record.samples:
        with tarfile.open(fileobj=io.BytesIO(data[sample.offset : sample.offset + sample.length])) as part:
            assert part.getnames()[-1] == f"{sample.key}.json"
    assert load_shard_record(str(tmp_path), NAME) == record
    assert stored_keys(str(tmp_path), record) == ["b", "-a"]


def test_the_bytes_depend_on_the_samples_alone(tmp_path: Path) -> None:
    write_shard(str(tmp_path / "one"))
    write_shard(str(tmp_path / "two"))
    for name in (NAME, "train/000000.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_exception_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        with ShardWriter(str(tmp_path), NAME) as shard:
            shard.add("a", label=0, members={"json": b"{}"})
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert list((tmp_path / "train").iterdir()) == []


def test_only_a_whole_shard_of_the_same_plan_counts_as_finished(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert finished_record(root, NAME, plan_sha256="0" * 64) is None
    record = write_shard(root)
    assert finished_record(root, NAME, plan_sha256="0" * 64) == record
    assert finished_record(root, NAME, plan_sha256="1" * 64) is None
    (tmp_path / NAME).unlink()
    assert finished_record(root, NAME, plan_sha256="0" * 64) is None


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    record = write_shard(str(tmp_path))
    data = bytearray((tmp_path / NAME).read_bytes())
    data[600] ^= 1
    (tmp_path / NAME).write_bytes(data)
    (problem,) = shard_problems(str(tmp_path), record)
    assert NAME in problem
    assert "bytes have changed" in problem


def test_a_cut_shard_is_found(tmp_path: Path) -> None:
    record = write_shard(str(tmp_path))
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(data[:1536])
    (problem,) = shard_problems(str(tmp_path), record)
    assert f"has 1,536 bytes, its record says {len(data):,}" in problem


def test_a_remote_store_gets_the_shard_by_one_put() -> None:
    root = "memory://shards"
    record = write_shard(root)
    filesystem = fsspec.filesystem("memory")
    assert sorted(filesystem.find("/shards")) == ["/shards/train/000000.json", "/shards/train/000000.tar"]
    assert shard_problems(root, record) == []
    assert finished_record(root, NAME, plan_sha256="0" * 64) == record
    filesystem.rm("/shards", recursive=True)


def test_what_killed_runs_left_is_removed(tmp_path: Path) -> None:
    write_shard(str(tmp_path))
    (tmp_path / "train" / f"{TEMPORARY_PREFIX}abc").write_bytes(b"half")
    remove_unfinished(str(tmp_path))
    assert sorted(path.name for path in (tmp_path / "train").iterdir()) == ["000000.json", "000000.tar"]


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    write_file(str(tmp_path), "dataset.json", b"old")
    write_file(str(tmp_path), "dataset.json", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]
    assert (tmp_path / "dataset.json").read_bytes() == b"new"
