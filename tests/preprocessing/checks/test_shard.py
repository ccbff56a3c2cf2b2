"""Samples that are stored faithfully and are still not what a sample should be."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from preprocessing.checks.shard import Expected, sample_problems, shard_problems
from preprocessing.decoding.child import encode_flac, encode_jpeg
from preprocessing.storage.records import load_index, load_shard_record
from preprocessing.storage.shards import tar_member
from preprocessing.storage.store import Store

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def expected(tiny_dataset: Path) -> Expected:
    index = load_index(str(tiny_dataset))
    return Expected(format=index.format, classes=index.classes)


def npy(array: NDArray[np.floating]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def replaced(name: str, data: bytes) -> Callable[[Members], Members]:
    return lambda members: members | {name: data}


def edited(old: bytes, new: bytes) -> Callable[[Members], Members]:
    return lambda members: members | {"json": members["json"].replace(old, new)}


DAMAGES: dict[str, tuple[Callable[[Members], Members], str]] = {
    "no picture": (replaced("frame_01.jpg", b"no JPEG"), "frame 1: does not decode"),
    "a cut picture": (
        lambda members: members | {"frame_02.jpg": members["frame_02.jpg"][:200]},
        "frame 2: does not decode",
    ),
    "a small picture": (
        replaced("frame_00.jpg", encode_jpeg(np.zeros((16, 16, 3), np.uint8), 95)),
        "frame 0: is (16, 16, 3), dataset.json says (32, 32, 3)",
    ),
    "no sound": (replaced("audio.flac", b"no FLAC"), "the sound cannot be decoded"),
    "short sound": (
        replaced("audio.flac", encode_flac(np.zeros(31_000, np.int16), 16_000)),
        "the sound has 31,000 samples at 16,000 Hz, dataset.json says 32,000",
    ),
    "another shape": (
        replaced("logmel.npy", npy(np.zeros((4, 32, 49), np.float16))),
        "the log-mel array is float16 (4, 32, 49), dataset.json says float16 (4, 32, 50)",
    ),
    "another type": (replaced("logmel.npy", npy(np.zeros((4, 32, 50), np.float32))), "the log-mel array is float32"),
    "out of range": (
        replaced("logmel.npy", npy(np.full((4, 32, 50), 1.5, np.float16))),
        "the log-mel values reach from 1.5 to 1.5",
    ),
    "not a number": (
        replaced("logmel.npy", npy(np.full((4, 32, 50), np.nan, np.float16))),
        "the log-mel values reach from nan to nan",
    ),
    "no array": (replaced("logmel.npy", b"\x93NUMPY"), "the log-mel array cannot be read"),
    "no record": (replaced("json", b"{}"), "its json is no clip record"),
    "no class": (edited(b'"label":0', b'"label":9'), "label 9 is none of the 4 classes"),
    "another label": (edited(b'"label":0', b'"label":1'), "its json says 1, the shard's record 0"),
    "another class": (edited(b"playing accordion", b"singing"), "its json says 'singing', the shard's record 'playing"),
    "a lost file": (
        lambda members: {name: data for name, data in members.items() if name != "frame_03.jpg"},
        "holds other files than it should",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_wrong_member_is_named(damage: str, tiny_dataset: Path, expected: Expected) -> None:
    shard = tiny_dataset / "train/000000.tar"
    record = load_shard_record(str(tiny_dataset), "train/000000.tar")
    place = next(sample for sample in record.samples if sample.label == 0)
    data = shard.read_bytes()[place.offset : place.offset + place.length]
    assert sample_problems(data, place, expected) == []
    apply, said = DAMAGES[damage]
    members = apply(members_of(data))
    damaged = b"".join(tar_member(f"{place.key}.{name}", content) for name, content in members.items())
    assert said in str(sample_problems(damaged, place, expected)[0])


def members_of(data: bytes) -> Members:
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {name.partition(".")[2]: file.read() for name, file in files.items() if file is not None}


def test_a_sample_of_another_key_is_named(tiny_dataset: Path, expected: Expected) -> None:
    record = load_shard_record(str(tiny_dataset), "train/000000.tar")
    one, two = record.samples[:2]
    data = (tiny_dataset / record.name).read_bytes()[one.offset : one.offset + one.length]
    (problem,) = sample_problems(data, two, expected)
    assert f"holds other files than it should: '{one.key}.audio.flac'" in str(problem)


def test_a_shard_that_goes_on_after_its_last_sample_is_named(
    tmp_path: Path, tiny_dataset: Path, expected: Expected
) -> None:
    """A record without the last sample, which then only the tar holds."""
    record = load_shard_record(str(tiny_dataset), "train/000000.tar")
    shorter = record.model_copy(update={"samples": record.samples[:-1]})
    (problem,) = shard_problems(str(tiny_dataset), shorter, expected)
    assert "bytes follow the last clip that its record names" in problem
    assert shard_problems(Store(str(tiny_dataset)).everywhere, record, expected) == []
