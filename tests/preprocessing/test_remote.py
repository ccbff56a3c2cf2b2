"""A data set in an S3 bucket: preprocessed, continued, verified, repaired and read like a folder."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

import pytest
import s3fs

from pipeline.commands import main
from pipeline.settings.load import load
from preprocessing.config import PreprocessConfig
from preprocessing.run import preprocess, verify
from preprocessing.storage.atomic_file import write_file
from preprocessing.storage.records import load_index, load_shard_record
from preprocessing.storage.store import Store, StoreError
from tests.preprocessing.small_run import config, contents
from tests.s3_credentials import SECRET
from tests.s3_server import S3Server

OUTPUT = "s3://bucket/ks/shards"
pytestmark = pytest.mark.usefixtures("ray_session")


def check_order(s3: S3Server) -> None:
    """Each shard is one put, its record follows, the plan is first, the index last, and nothing is sent in parts."""
    puts = [
        path.partition("?")[0].removeprefix("/bucket/ks/shards/") for method, path in s3.requests if method == "PUT"
    ]
    for name in (shard.name for shards in load_index(OUTPUT).shards.values() for shard in shards):
        record = name.replace(".tar", ".json")
        assert (puts.count(name), puts.count(record)) == (1, 1)
        assert puts.index(name) < puts.index(record)
    assert (puts[0], puts[-1]) == ("plan.json", "dataset.json")
    assert not [path for method, path in s3.requests if method == "POST"]


def test_a_bucket_is_written_continued_verified_and_repaired_like_a_folder(
    s3: S3Server,
    finished: Path,
    videos: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG, logger="preprocessing")
    store = Store(OUTPUT)
    assert preprocess(config(videos, OUTPUT)).shards_written == 3
    check_order(s3)
    assert contents(OUTPUT) == contents(finished)
    assert load_index(OUTPUT).content_sha256 == load_index(str(finished)).content_sha256
    assert main(["verify", OUTPUT]) == 0

    assert preprocess(config(videos, OUTPUT)).shards_written == 0
    store.filesystem.rm_file("bucket/ks/shards/train/000001.json")
    assert preprocess(config(videos, OUTPUT)).shards_written == 1

    data = bytearray(store.read("train/000000.tar"))
    data[700] ^= 8
    write_file(store, "train/000000.tar", bytes(data))
    problem, advice = verify(OUTPUT)
    assert problem.startswith(f"'{OUTPUT}/train/000000.tar' has SHA-256")
    words = shlex.split(advice.partition("built again by: ")[2])[4:]
    summary = preprocess(load(PreprocessConfig, None, words))
    assert (summary.shards_written, summary.shards_reused) == (1, 2)
    assert contents(OUTPUT) == contents(finished)
    assert verify(OUTPUT) == []

    said = "".join([caplog.text, *capfd.readouterr(), *(store.read(name).decode("latin-1") for name in store.names())])
    assert OUTPUT in said
    assert SECRET not in said


@pytest.mark.slow
def test_a_large_shard_is_still_one_put(s3: S3Server) -> None:
    """s3fs would send it in three parts, which stay, and are paid for, if the sender is killed."""
    write_file(Store(OUTPUT), "train/000000.tar", bytes(101 << 20))
    assert [method for method, _ in s3.requests if method in ("PUT", "POST")] == ["PUT"]
    assert s3fs.S3FileSystem().list_multipart_uploads("bucket") == []


def test_a_store_that_fails_now_and_then_loses_nothing(s3: S3Server, finished: Path, videos: Path) -> None:
    """One of five requests fails; of those that s3fs makes for one file, four attempts in a row may not."""
    s3.failing_share = 0.2
    preprocess(config(videos, OUTPUT))
    s3.failing_share = 0.0
    assert contents(OUTPUT) == contents(finished)


def test_a_store_that_keeps_half_of_what_it_acknowledges_is_found_out(
    s3: S3Server, finished: Path, videos: Path
) -> None:
    s3.cuts_left = 3
    preprocess(config(videos, OUTPUT))
    assert s3.cuts_left == 0
    assert contents(OUTPUT) == contents(finished)


def test_a_store_that_is_gone_is_named_without_its_secrets_and_a_rerun_goes_on(
    s3: S3Server, finished: Path, videos: Path
) -> None:
    """Its answers repeat the secret, as those of a talkative proxy may."""
    wanted = config(videos, OUTPUT, workers=1)
    preprocess(wanted)
    store = Store(OUTPUT)
    for name in ("train/000001.json", "dataset.json"):
        store.filesystem.rm_file(f"bucket/ks/shards/{name}")
    s3.is_down = True
    with pytest.raises(
        StoreError, match=rf"cannot .* '{OUTPUT}/.*broken for \*\*\*; .*run the same command again"
    ) as error:
        preprocess(wanted)
    assert SECRET not in str(error.value)
    s3.is_down = False
    assert preprocess(wanted).shards_written == 1
    assert contents(OUTPUT) == contents(finished)


def test_what_another_process_writes_is_seen(s3: S3Server) -> None:
    """s3fs would answer from the listing that it made before."""
    store = Store(OUTPUT)
    write_file(store, "train/a", b"1")
    assert list(store.names()) == ["train/a"]
    assert store.size("train/b") is None
    other = s3fs.S3FileSystem(skip_instance_cache=True)
    other.pipe_file("bucket/ks/shards/train/b", b"22")
    assert store.size("train/b") == 2
    assert list(store.names()) == ["train/a", "train/b"]


def test_the_schema_reads_records_from_a_bucket(s3: S3Server, finished: Path) -> None:
    store = Store(OUTPUT)
    for name in ("train/000000.json", "dataset.json"):
        write_file(store, name, (finished / name).read_bytes())
    assert load_index(OUTPUT) == load_index(str(finished))
    assert load_shard_record(OUTPUT, "train/000000.tar") == load_shard_record(str(finished), "train/000000.tar")
