from __future__ import annotations

import io
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preprocessing.decoding.child import encode_flac, encode_jpeg
from preprocessing.inspection.sample import (
    UnreadableSampleError,
    decode_flac,
    decode_grey,
    read_sample,
)
from preprocessing.inspection.stored import StoredDataset
from preprocessing.storage.shards import ShardWriter
from preprocessing.storage.store import Store


def test_a_sample_is_what_tar_gives_under_its_key(tiny: StoredDataset, tiny_dataset: Path) -> None:
    place = list(tiny.places)[13]
    sample = read_sample(tiny.root, place, tiny.format)
    with tarfile.open(tiny_dataset / place.shard) as archive:
        stored = {
            name.removeprefix(f"{place.sample.key}."): stream.read()
            for name in archive.getnames()
            if name.startswith(place.sample.key) and (stream := archive.extractfile(name))
        }
    assert sample.flac == stored["audio.flac"]
    assert sample.jpegs == tuple(stored[f"frame_0{index}.jpg"] for index in range(4))
    assert sample.record.model_dump_json().encode() == stored["json"]
    np.testing.assert_array_equal(sample.patches, np.load(io.BytesIO(stored["logmel.npy"])))


def test_only_the_bytes_of_the_sample_are_read(tiny: StoredDataset, tiny_dataset: Path, tmp_path: Path) -> None:
    """Everything before and behind them is destroyed, and it is read all the same."""
    place = list(tiny.places)[3]
    copy = shutil.copytree(tiny_dataset, tmp_path / "shards")
    data = (copy / place.shard).read_bytes()
    begin, end = place.sample.offset, place.sample.offset + place.sample.length
    (copy / place.shard).write_bytes(b"?" * begin + data[begin:end] + b"?" * (len(data) - end))
    assert read_sample(str(copy), place, tiny.format).record == read_sample(tiny.root, place, tiny.format).record


@pytest.mark.parametrize("part", [b"", b"?" * 5000], ids=["a short shard", "other bytes"])
def test_a_damaged_sample_says_which(part: bytes, tiny: StoredDataset, tmp_path: Path) -> None:
    place = next(tiny.places)
    (tmp_path / "train").mkdir()
    (tmp_path / place.shard).write_bytes(part)
    with pytest.raises(UnreadableSampleError, match=place.sample.key):
        read_sample(str(tmp_path), place, tiny.format)


def test_a_missing_shard_is_an_unreadable_sample(tiny: StoredDataset, tmp_path: Path) -> None:
    with pytest.raises(UnreadableSampleError, match="No such file"):
        read_sample(str(tmp_path), next(tiny.places), tiny.format)


def test_another_place_of_the_same_shard_is_no_sample(tiny: StoredDataset) -> None:
    """The bytes of the next clip under the name of this one."""
    first, second, *_ = tiny.places
    wrong = replace(first, sample=second.sample.model_copy(update={"key": first.sample.key}))
    with pytest.raises(UnreadableSampleError, match="has no member 'json'"):
        read_sample(tiny.root, wrong, tiny.format)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_mels": 64}, "log-mel is (4, 32, 50), the format says (4, 64, 50)"),
        ({"num_segments": 5}, "'frame_04.jpg'"),
    ],
)
def test_a_sample_of_another_format_is_unreadable(changes: dict[str, int], says: str, tiny: StoredDataset) -> None:
    with pytest.raises(UnreadableSampleError, match=re.escape(says)):
        read_sample(tiny.root, next(tiny.places), tiny.format.model_copy(update=changes))


def test_a_record_with_too_few_frames_is_unreadable(tiny: StoredDataset, tmp_path: Path) -> None:
    place = next(tiny.places)
    sample = read_sample(tiny.root, place, tiny.format)
    record = sample.record.model_copy(update={"frame_seconds": (0.25,)})
    patches = io.BytesIO()
    np.save(patches, sample.patches)
    frames = {f"frame_0{index}.jpg": jpeg for index, jpeg in enumerate(sample.jpegs)}
    json = record.model_dump_json().encode()
    with ShardWriter(Store(str(tmp_path)), place.shard) as shard:
        members = {"audio.flac": sample.flac, **frames, "json": json, "logmel.npy": patches.getvalue()}
        shard.add(place.sample.key, label=0, source_sha256="", members=members)
        written = shard.commit(split="train", plan_sha256="", rejected=(), libraries={})
    with pytest.raises(UnreadableSampleError, match="has the times of 1 frames, the format says 4"):
        read_sample(str(tmp_path), replace(place, sample=written.samples[0]), tiny.format)


def test_sound_comes_back_as_it_was_stored() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 16_000).astype(np.int16)
    np.testing.assert_array_equal(decode_flac(encode_flac(samples, 16_000)), samples)


@pytest.mark.parametrize("flac", [b"", b"fLaC", b"?" * 3000])
def test_damaged_sound_is_an_unreadable_sample(flac: bytes) -> None:
    with pytest.raises(UnreadableSampleError, match="the sound cannot be decoded"):
        decode_flac(flac)


def test_a_grey_frame_is_small_and_looks_like_the_frame() -> None:
    ramp = np.repeat(np.tile(np.arange(0, 224, dtype=np.uint8), (224, 1))[..., np.newaxis], 3, axis=2)
    grey = decode_grey(encode_jpeg(ramp, 95), at_least_pixels=28)
    assert grey.shape == (28, 28)
    expected = np.asarray(Image.fromarray(ramp).convert("L").resize((28, 28), Image.Resampling.BOX))
    assert np.abs(grey.astype(int) - expected).max() <= 3


def test_a_damaged_frame_is_an_unreadable_sample() -> None:
    with pytest.raises(UnreadableSampleError, match="a frame cannot be decoded"):
        decode_grey(b"?" * 100, at_least_pixels=28)
