"""A shard: a plain tar of fixed bytes that shows under its name only when it is whole."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import fsspec
import pytest

from preprocessing.schema import Rejection, ShardRecord
from preprocessing.storage.records import find_finished, load_shard_record
from preprocessing.storage.shards import NewSample, ShardWriter, write_shard
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


def test_the_tar_opens_everywhere_and_the_record_says_where_all_lies(tmp_path: Path) -> None:
    record = store_shard(str(tmp_path))
    data = (tmp_path / NAME).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["b.frame_00.jpg", "b.json", "-a.json"]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in archive} == {(0, 0, 0, "", 0o644)}
    assert (record.bytes, record.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    for sample in record.samples:
        with tarfile.open(fileobj=io.BytesIO(data[sample.offset : sample.offset + sample.length])) as part:
            assert part.getnames()[-1] == f"{sample.key}.json"
    assert load_shard_record(str(tmp_path), NAME) == record
    assert [(sample.key, sample.source_sha256) for sample in record.samples] == [("b", "b0"), ("-a", "a0")]


def test_the_bytes_depend_on_the_samples_alone(tmp_path: Path) -> None:
    store_shard(str(tmp_path / "one"))
    store_shard(str(tmp_path / "two"))
    for name in (NAME, "train/000000.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_exception_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        with ShardWriter(Store(str(tmp_path)), NAME) as shard:
            begin(shard)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert list((tmp_path / "train").iterdir()) == []


def test_clips_and_rejections_come_in_one_stream(tmp_path: Path) -> None:
    """The bytes and the record are those of the same samples added one by one."""
    clips: list[NewSample | Rejection] = [
        NewSample("b", 1, "b0", {"frame_00.jpg": b"x" * 700, "json": b"{}"}),
        Rejection(file="c.mp4", split="train", reason="no_audio", detail="none"),
        NewSample("-a", 0, "a0", {"json": b"[]"}),
    ]
    written = write_shard(
        str(tmp_path / "one"), NAME, clips, split="train", plan_sha256="0" * 64, libraries={"av": "1"}
    )
    assert written == store_shard(str(tmp_path / "two"))
    assert (tmp_path / "one" / NAME).read_bytes() == (tmp_path / "two" / NAME).read_bytes()


def test_only_a_whole_shard_of_the_same_plan_counts_as_finished(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    record = store_shard(str(tmp_path))
    assert found(tmp_path) == record
    assert found(tmp_path, plan_sha256="1" * 64) is None
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(data[:1536])
    assert found(tmp_path) is None
    (tmp_path / NAME).unlink()
    assert found(tmp_path) is None


def test_a_torn_record_does_not_count_as_finished(tmp_path: Path) -> None:
    store_shard(str(tmp_path))
    (tmp_path / "train/000000.json").write_text('{"name": "train/0000')
    assert found(tmp_path) is None


def test_a_flipped_bit_is_found_by_hashing_alone(tmp_path: Path) -> None:
    """A plain rerun reads no shard, a repair reads them all."""
    store, record = Store(str(tmp_path)), store_shard(str(tmp_path))
    data = bytearray((tmp_path / NAME).read_bytes())
    data[600] ^= 1
    (tmp_path / NAME).write_bytes(data)
    assert found(tmp_path) == record
    assert found(tmp_path, hashed=True) is None
    assert store.sha256(NAME) == hashlib.sha256(data).hexdigest()


def test_two_attempts_at_once_do_each_other_no_harm(tmp_path: Path) -> None:
    """As when a node is given up that still works: both write, one after the other shows, the bytes are the same."""
    store = Store(str(tmp_path))
    with ShardWriter(store, NAME) as one, ShardWriter(store, NAME) as two:
        begin(one)
        begin(two)
        first = commit(two)
        shown = (tmp_path / NAME).read_bytes()
        assert commit(one) == first
    assert (tmp_path / NAME).read_bytes() == shown
    assert found(tmp_path, hashed=True) == first
    assert sorted(path.name for path in (tmp_path / "train").iterdir()) == ["000000.json", "000000.tar"]


def test_a_remote_store_gets_a_shard_like_a_folder(tmp_path: Path) -> None:
    local, remote = store_shard(str(tmp_path)), store_shard("memory://shards")
    filesystem = fsspec.filesystem("memory")
    assert sorted(filesystem.find("/shards")) == ["/shards/train/000000.json", "/shards/train/000000.tar"]
    assert filesystem.cat_file("/shards/train/000000.tar") == (tmp_path / NAME).read_bytes()
    assert found("memory://shards", hashed=True) == remote == local
    filesystem.rm("/shards", recursive=True)
