"""A shard: a plain tar of fixed bytes that shows under its name only when it is whole."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import fsspec
import pytest

from preprocessing.schema import Rejection
from preprocessing.storage.records import load_shard_record
from preprocessing.storage.shards import NewSample, ShardWriter, write_shard
from preprocessing.storage.store import Store
from tests.preprocessing.storage.small_shard import NAME, begin, commit, found, store_shard


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
