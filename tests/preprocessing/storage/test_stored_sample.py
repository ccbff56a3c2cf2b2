"""A stored sample: exactly what was stored, or an error that names clip and problem."""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import webdataset
from PIL import Image

from preprocessing.decoding.child import encode_flac, encode_jpeg
from preprocessing.schema import ClipFormat, StoredKey
from preprocessing.storage.members import AUDIO_MEMBER, LOGMEL_MEMBER, RECORD_MEMBER, frame_members, member_names
from preprocessing.storage.records import load_index, load_shard_record
from preprocessing.storage.store import Store
from preprocessing.storage.stored_sample import (
    SampleError,
    StoredSample,
    decode_flac,
    read_sample,
    split_sample,
    tar_members,
)

SHARD = "train/000000.tar"


@pytest.fixture(scope="session")
def clip_format(tiny_dataset: Path) -> ClipFormat:
    return load_index(str(tiny_dataset)).format


@pytest.fixture(scope="session")
def clips(tiny_dataset: Path) -> tuple[StoredKey, ...]:
    """The clips of the first shard."""
    return load_shard_record(str(tiny_dataset), SHARD).samples


def with_member(sample: StoredSample, name: str, data: bytes) -> StoredSample:
    return StoredSample(sample.key, {**sample.members, name: data}, sample.clip_format)


@pytest.fixture
def sample(tiny_dataset: Path, clips: tuple[StoredKey, ...], clip_format: ClipFormat) -> StoredSample:
    return read_sample(Store(str(tiny_dataset)), SHARD, clips[3], clip_format)


def test_a_sample_is_what_tar_numpy_and_pillow_find_under_its_key(sample: StoredSample, tiny_dataset: Path) -> None:
    with tarfile.open(tiny_dataset / SHARD) as archive:
        stored = {
            name.removeprefix(f"{sample.key}."): stream.read()
            for name in archive.getnames()
            if name.startswith(sample.key) and (stream := archive.extractfile(name))
        }
    assert sample.members == stored
    assert list(sample.members) == ["audio.flac", *(f"frame_0{index}.jpg" for index in range(4)), "json", "logmel.npy"]
    np.testing.assert_array_equal(sample.logmel(), np.load(io.BytesIO(stored["logmel.npy"])))
    np.testing.assert_array_equal(sample.frame(2), np.asarray(Image.open(io.BytesIO(stored["frame_02.jpg"]))))
    assert sample.record().model_dump_json(exclude_none=True).encode() == stored["json"]
    assert sample.waveform().shape == (32_000,)


def test_only_the_bytes_of_the_sample_are_read(
    sample: StoredSample, clips: tuple[StoredKey, ...], tiny_dataset: Path, tmp_path: Path
) -> None:
    """Everything before and behind them is destroyed, and it is read all the same."""
    data = (tiny_dataset / SHARD).read_bytes()
    begin, end = clips[3].offset, clips[3].offset + clips[3].length
    (tmp_path / "train").mkdir()
    (tmp_path / SHARD).write_bytes(b"?" * begin + data[begin:end] + b"?" * (len(data) - end))
    assert read_sample(Store(str(tmp_path)), SHARD, clips[3], sample.clip_format) == sample


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (b"", "holds other files than it should"),
        (b"?" * 50_000, "is no readable tar"),
        (None, "is no readable tar: a file of"),
    ],
    ids=["an empty shard", "other bytes", "a shard that is cut off"],
)
def test_a_damaged_sample_says_which_and_why(
    part: bytes | None,
    says: str,
    clips: tuple[StoredKey, ...],
    clip_format: ClipFormat,
    tiny_dataset: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / SHARD).write_bytes((tiny_dataset / SHARD).read_bytes()[:2000] if part is None else part)
    with pytest.raises(SampleError, match=f"clip '{clips[0].key}': {says}"):
        read_sample(Store(str(tmp_path)), SHARD, clips[0], clip_format)


def test_a_size_that_leads_backwards_ends_all_the_same() -> None:
    header = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
    header[124:135] = b"-0000002000"
    with pytest.raises(ValueError, match="a file of -1,024 bytes"):
        tar_members(bytes(header))


def test_another_clip_of_the_same_shard_is_no_sample(
    clips: tuple[StoredKey, ...], clip_format: ClipFormat, tiny_dataset: Path
) -> None:
    wrong = clips[1].model_copy(update={"key": clips[0].key})
    with pytest.raises(SampleError, match=f"holds other files than it should: '{clips[1].key}.audio.flac'"):
        read_sample(Store(str(tiny_dataset)), SHARD, wrong, clip_format)


def test_a_damaged_header_is_found_where_it_is_asked_for(
    clips: tuple[StoredKey, ...], clip_format: ClipFormat, tiny_dataset: Path
) -> None:
    """A bit of the first file's checksum."""
    data = bytearray((tiny_dataset / SHARD).read_bytes()[: clips[0].length])
    data[150] ^= 1
    split_sample(bytes(data), clips[0].key, clip_format)
    with pytest.raises(SampleError, match="is no readable tar: bad checksum"):
        split_sample(bytes(data), clips[0].key, clip_format, strict=True)


def test_keys_may_begin_with_dashes_and_underscores(tmp_path: Path) -> None:
    keys = ("--4-0ihtnBU_000058_000068", "__a_b__cdEF_000001_000011", "_")
    with webdataset.TarWriter(str(tmp_path / "odd.tar"), mtime=0) as writer:
        for key in keys:
            writer.write({"__key__": key, "frame_00.jpg": b"x" * 700, "json": b"{}"})
    found = [name for name, _ in tar_members((tmp_path / "odd.tar").read_bytes(), strict=True)]
    assert found == [f"{key}.{name}" for key in keys for name in ("frame_00.jpg", "json")]


def test_many_frames_keep_their_order() -> None:
    names = member_names(101)
    assert names[:3] == ("audio.flac", "frame_00.jpg", "frame_01.jpg")
    assert names[-3:] == ("frame_100.jpg", "json", "logmel.npy")
    assert frame_members(101) == names[1:-2]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_mels": 64}, "the log-mel array is float16 (4, 32, 50), dataset.json says float16 (4, 64, 50)"),
        ({"num_segments": 5}, "frame_04.jpg'"),
        ({"frame_size": 16}, "frame 0: is (32, 32, 3), dataset.json says (16, 16, 3)"),
        ({"frame_size": 64}, "frame 0: is (32, 32, 3), dataset.json says (64, 64, 3)"),
        (
            {"sample_rate_hz": 8000},
            "the sound has more than 16,000 samples at 16,000 Hz, dataset.json says 16,000 samples",
        ),
    ],
)
def test_a_sample_of_another_format_is_refused(
    changes: dict[str, int],
    says: str,
    clips: tuple[StoredKey, ...],
    clip_format: ClipFormat,
    tiny_dataset: Path,
) -> None:
    other = clip_format.model_copy(update=changes)
    size = other.frame_size

    def read_all() -> None:
        stored = read_sample(Store(str(tiny_dataset)), SHARD, clips[0], other)
        stored.waveform()
        stored.logmel()
        stored.decode_frames(into=np.zeros((other.num_segments, size, size, 3), np.uint8))

    with pytest.raises(SampleError, match=re.escape(says)):
        read_all()


def test_a_record_with_too_few_frames_is_refused(sample: StoredSample) -> None:
    record = sample.record().model_copy(update={"frame_seconds": (0.25,)})
    damaged = with_member(sample, RECORD_MEMBER, record.model_dump_json().encode())
    with pytest.raises(SampleError, match=r"its json has the times of 1 frames, dataset\.json says 4"):
        damaged.record()


@pytest.mark.parametrize("array", [np.zeros(3, np.float32), np.zeros((2, 2), np.float16).T, np.array([{}], object)])
def test_another_kind_of_array_is_refused_and_never_unpickled(array: np.ndarray, sample: StoredSample) -> None:
    file = io.BytesIO()
    np.save(file, array)
    with pytest.raises(SampleError, match="the log-mel array"):
        with_member(sample, LOGMEL_MEMBER, file.getvalue()).logmel()


def test_every_value_of_16_bit_comes_back_as_it_was_stored() -> None:
    samples = np.random.default_rng(0).permutation(np.arange(-32768, 32768)).astype(np.int16)
    rate_hz, decoded = decode_flac(encode_flac(samples, 16_000), max_samples=len(samples))
    assert rate_hz == 16_000
    np.testing.assert_array_equal(decoded, samples)


@pytest.mark.parametrize("flac", [b"", b"fLaC", b"?" * 3000])
def test_a_damaged_waveform_is_refused(flac: bytes, sample: StoredSample) -> None:
    with pytest.raises(SampleError, match="the sound cannot be decoded"):
        with_member(sample, AUDIO_MEMBER, flac).waveform()


def test_two_channels_are_refused(sample: StoredSample) -> None:
    """They would otherwise become a clip of twice the length."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=16_000, layout="stereo", format="s16")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 3200), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 16_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(SampleError, match="it has 2 channels of s16; it should have one"):
        with_member(sample, AUDIO_MEMBER, buffer.getvalue()).waveform()


def test_a_grey_frame_is_small_and_looks_like_the_frame(sample: StoredSample) -> None:
    ramp = np.repeat(np.tile(np.arange(0, 224, dtype=np.uint8), (224, 1))[..., np.newaxis], 3, axis=2)
    large = replace(sample, clip_format=sample.clip_format.model_copy(update={"frame_size": 224}))
    grey = with_member(large, "frame_00.jpg", encode_jpeg(ramp, 95)).small_grey_frame(0, min_pixels=28)
    assert grey.shape == (28, 28)
    expected = np.asarray(Image.fromarray(ramp).convert("L").resize((28, 28), Image.Resampling.BOX))
    assert np.abs(grey.astype(int) - expected).max() <= 3


def test_a_damaged_frame_is_refused_in_grey_too(sample: StoredSample) -> None:
    with pytest.raises(SampleError, match="frame 1: does not decode"):
        with_member(sample, "frame_01.jpg", b"?" * 100).small_grey_frame(1, min_pixels=28)


def test_a_local_shard_is_read_once_it_is_there(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        store.read_range("a.tar", 0, 4)
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    assert store.read_range("a.tar", 4, 3) == b"456"
    assert store.read_range("a.tar", 8, 5) == b"89"
