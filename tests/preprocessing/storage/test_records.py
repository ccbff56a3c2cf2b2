"""The records of a stored data set: read, refused, and held against the shards that they tell of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from preprocessing.errors import DataError
from preprocessing.schema import FORMAT_VERSION
from preprocessing.storage.records import load_index, load_shard_record
from preprocessing.storage.store import Store
from tests.preprocessing.storage.small_shard import NAME, found, store_shard


def test_an_unfinished_data_set_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a finished data set; run `python -m pipeline preprocess`"):
        load_index(str(tmp_path))


def test_a_folder_that_does_not_exist_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"/none' does not exist, so it is not a finished data set \(the current folder"
    ):
        load_index(str(tmp_path / "none"))


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"format_version": FORMAT_VERSION + 1}))
    with pytest.raises(
        ValueError, match=f"has format version {FORMAT_VERSION + 1}, this code reads 2 to {FORMAT_VERSION}"
    ):
        load_index(str(tmp_path))


def test_a_data_set_of_format_version_2_still_opens(tiny_dataset: Path, tmp_path: Path) -> None:
    """It has no account of what was seen."""
    now = json.loads((tiny_dataset / "dataset.json").read_text())
    accounting = now.pop("accounting")
    (tmp_path / "dataset.json").write_text(json.dumps(now | {"format_version": 2}))
    index = load_index(str(tmp_path))
    assert (index.accounting, index.format_version) == (None, FORMAT_VERSION)
    assert index.model_dump(exclude={"accounting"}) == load_index(str(tiny_dataset)).model_dump(exclude={"accounting"})
    assert sum(each["used"] for each in accounting["files"] if each["kind"] == "video") == 40


def test_the_index_lists_what_the_records_say(tiny_dataset: Path) -> None:
    index = load_index(str(tiny_dataset))
    for split, shards in index.shards.items():
        for summary in shards:
            record = load_shard_record(str(tiny_dataset), summary.name)
            assert (record.split, record.sha256, len(record.samples)) == (split, summary.sha256, summary.num_samples)
            assert (tiny_dataset / summary.name).stat().st_size == record.bytes == summary.bytes


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


def test_a_damaged_record_of_a_shard_is_told_and_a_missing_one_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_shard_record(str(tmp_path), NAME)
    (tmp_path / "train").mkdir()
    (tmp_path / "train/000000.json").write_text('{"name": "train/000000.tar"}')
    with pytest.raises(DataError, match=r"train/000000\.json' is not a shard's record: split: Field required"):
        load_shard_record(str(tmp_path), NAME)


@pytest.mark.parametrize("text", ["{", f'{{"format_version": {FORMAT_VERSION}}}'])
def test_a_damaged_index_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json' is damaged: "):
        load_index(str(tmp_path))
