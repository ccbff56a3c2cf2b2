from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from preprocessing.inspection.stored import StoredDataset, find_dataset
from preprocessing.storage.records import load_index


def test_a_finished_data_set_is_found_whole(tiny: StoredDataset, tiny_dataset: Path) -> None:
    index = load_index(str(tiny_dataset))
    assert tiny.is_finished
    assert (tiny.num_clips, tiny.missing, tiny.rejected) == (index.num_clips, (), ())
    assert tiny.content_sha256 == index.content_sha256
    assert tiny.settings == index.config
    assert tiny.num_bytes == sum(file.stat().st_size for file in tiny_dataset.rglob("*.tar"))


def test_places_are_the_clips_of_the_shards_in_stored_order(tiny: StoredDataset, tiny_dataset: Path) -> None:
    clips = list(tiny.clips)
    first = json.loads((tiny_dataset / "train/000000.json").read_text())["samples"]
    assert [clip.sample.key for clip in clips[:10]] == [sample["key"] for sample in first]
    assert [clip.split for clip in clips].count("validation") == 8
    assert len(clips) == 40


def test_an_unfinished_data_set_tells_what_is_missing(tiny_dataset: Path, tmp_path: Path) -> None:
    """No `dataset.json`, one shard without a record, one whose record is half, one of another plan."""
    copy = shutil.copytree(tiny_dataset, tmp_path / "shards")
    (copy / "dataset.json").unlink()
    (copy / "train/000000.json").unlink()
    (copy / "train/000001.json").write_text("{")
    other = json.loads((copy / "test/000000.json").read_text()) | {"plan_sha256": "another"}
    (copy / "test/000000.json").write_text(json.dumps(other))
    found = find_dataset(str(copy))
    assert not found.is_finished
    assert found.num_clips == {"train": 4, "validation": 8, "test": 0}
    assert found.content_sha256 is None
    assert found.format.frame_size == 32
    absent, damaged, foreign = found.missing
    assert absent == "train/000000.tar: not there yet"
    assert damaged.startswith(
        f"train/000001.tar: its record cannot be read: '{copy}/train/000001.json' is not a shard's"
    )
    assert foreign == "test/000000.tar: made by another plan"


def test_rejections_of_a_run_that_did_not_end_come_from_the_records(troubled: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(troubled, tmp_path / "shards")
    whole = find_dataset(str(copy))
    assert [rejection.reason for rejection in whole.rejected] == ["not_media"]
    (copy / "rejected.csv").unlink()
    (copy / "dataset.json").unlink()
    assert find_dataset(str(copy)).rejected == whole.rejected


def test_a_folder_without_a_data_set_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds neither a data set \(dataset.json\) nor one that is being made"):
        find_dataset(str(tmp_path))


def test_a_label_without_a_class_is_told_as_it_is(tiny: StoredDataset) -> None:
    assert (tiny.class_name(3), tiny.class_name(4), tiny.class_name(-1)) == ("singing", "label 4", "label -1")
