"""The contract of a stored data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from preprocessing.schema import FORMAT_VERSION, ClipFormat
from preprocessing.storage.places import join
from preprocessing.storage.records import load_index, load_shard_record


def test_the_default_format_is_ten_seconds_of_kinetics() -> None:
    clip_format = ClipFormat()
    assert (clip_format.clip_seconds, clip_format.segment_samples, clip_format.steps) == (10.0, 16_000, 100)


def test_a_segment_holds_whole_steps() -> None:
    with pytest.raises(ValidationError, match=r"is 16080 samples; it must be a whole multiple of hop_length=160"):
        ClipFormat(segment_seconds=1.005)


def test_a_segment_holds_a_window() -> None:
    with pytest.raises(ValidationError, match="a segment of 320 samples is too short for n_fft=1024"):
        ClipFormat(segment_seconds=0.02)


def test_names_are_joined_for_folders_and_urls() -> None:
    assert join("/data/", "train/000000.tar") == "/data/train/000000.tar"
    assert join("s3://bucket/data", "dataset.json") == "s3://bucket/data/dataset.json"


def test_an_unfinished_data_set_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a finished data set; run `python -m pipeline preprocess`"):
        load_index(str(tmp_path))


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"format_version": FORMAT_VERSION + 1}))
    with pytest.raises(ValueError, match=f"has format version {FORMAT_VERSION + 1}, this code reads {FORMAT_VERSION}"):
        load_index(str(tmp_path))


def test_the_index_lists_what_the_records_say(tiny_dataset: Path) -> None:
    index = load_index(str(tiny_dataset))
    for split, shards in index.shards.items():
        for summary in shards:
            record = load_shard_record(str(tiny_dataset), summary.name)
            assert (record.split, record.sha256, len(record.samples)) == (split, summary.sha256, summary.num_samples)
            assert (tiny_dataset / summary.name).stat().st_size == record.bytes == summary.bytes
