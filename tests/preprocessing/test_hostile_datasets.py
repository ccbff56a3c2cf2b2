"""Data sets of strangers: what their records name, count and hold is refused before it is followed or allocated."""

from __future__ import annotations

import io
import json
import shutil
import struct
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from preprocessing.decoding.child import encode_flac, encode_jpeg
from preprocessing.errors import DataError
from preprocessing.inspection.stored import find_dataset
from preprocessing.schema import ClipFormat, StoredKey
from preprocessing.storage.members import AUDIO_MEMBER, LOGMEL_MEMBER, RECORD_MEMBER
from preprocessing.storage.records import load_index, load_shard_record
from preprocessing.storage.shards import tar_member
from preprocessing.storage.store import Store
from preprocessing.storage.stored_sample import SampleError, StoredSample, read_sample, split_sample
from training.data import ShardError, open_split

SHARD = "train/000000.tar"
NAMES = [
    *("../outside/000000.tar", "/etc/passwd", "train/../../x.tar", "train\\\\..\\\\x.tar", "C:\\\\x.tar", "c:/x.tar"),
    *("http://evil/x.tar", "s3://evil/x.tar", "train/x.tar::http://evil", "train/\\0.tar", "", ".", "train/.tar"),
    *("train/a b.tar", "train/x.tar\\n", "other/000000.tar", "train/a/b.tar", "train/" + "a" * 300 + ".tar", "~/x.tar"),
]
HUGE = [-1, 10**12 * 10**12, 1e308, "NaN", None, [], 2**53 + 1, True and 1.5]


@pytest.fixture
def root(tiny_dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_dataset, tmp_path / "it"))


def change(file: Path, edit: Callable[[Any], object]) -> None:
    record = json.loads(file.read_text())
    edit(record)
    file.write_text(json.dumps(record))


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_shard_leads_out_of_its_data_set(name: str, root: Path) -> None:
    change(root / "dataset.json", lambda index: index["shards"]["train"][0].update(name=name))
    with pytest.raises(
        DataError, match=r"dataset\.json' is damaged: shards\.train\.0\.name: String should match pattern"
    ):
        load_index(str(root))
    change(root / "train/000000.json", lambda record: record.update(name=name))
    with pytest.raises(DataError, match=r"000000\.json' is not a shard's record: name: String should match pattern"):
        load_shard_record(str(root), SHARD)
    (root / "dataset.json").unlink()
    change(root / "plan.json", lambda plan: plan["shards"][0].update(name=name))
    with pytest.raises(
        DataError, match=r"plan\.json' is not a plan of this version: shards\.0\.name: String should match"
    ):
        find_dataset(str(root))


def test_the_message_says_what_was_got(root: Path) -> None:
    change(root / "dataset.json", lambda index: index["shards"]["train"][0].update(name="../outside/000000.tar"))
    with pytest.raises(DataError, match=r"got '\.\./outside/000000\.tar'$"):
        load_index(str(root))


@pytest.mark.parametrize("key", ["../x", "a/b", "a.b", "", "a\\x00b", "a" * 81, "\\x1b[31m", "é"])
def test_no_key_names_anything_but_a_clip(key: str, root: Path) -> None:
    change(root / "train/000000.json", lambda record: record["samples"][0].update(key=key))
    with pytest.raises(DataError, match=r"samples\.0\.key: String should"):
        load_shard_record(str(root), SHARD)


def test_a_record_of_another_shard_is_refused(root: Path) -> None:
    shutil.copy(root / "validation/000000.json", root / "train/000000.json")
    with pytest.raises(DataError, match=r"is the record of 'validation/000000\.tar'; allowed: of 'train/000000\.tar'"):
        load_shard_record(str(root), SHARD)


def test_a_clip_that_is_listed_twice_is_refused(root: Path) -> None:
    change(root / "train/000000.json", lambda record: record["samples"].append(record["samples"][0]))
    with pytest.raises(DataError, match=r"lists clip '.*' twice; allowed: once"):
        load_shard_record(str(root), SHARD)


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize(
    "place", [("num_clips", "train"), ("num_rejected",), ("shards", "train", 0, "bytes"), ("format", "num_segments")]
)
def test_numbers_that_count_nothing_are_refused(place: tuple[Any, ...], number: object, root: Path) -> None:
    def put(index: Any) -> None:
        for step in place[:-1]:
            index = index[step]
        index[place[-1]] = number

    change(root / "dataset.json", put)
    with pytest.raises(DataError, match=r"dataset\.json' is damaged: " + r"\.".join(map(str, place))):
        load_index(str(root))


@pytest.mark.parametrize(
    "changes",
    [
        *({"num_segments": 10**12}, {"frame_size": 10**9}, {"sample_rate_hz": 10**12}, {"segment_seconds": 1e308}),
        *(
            {"n_fft": 10**12},
            {"num_mels": 10**12},
            {"hop_length": 10**12},
            {"frame_size": 8192, "num_segments": 10_000},
        ),
    ],
)
def test_a_format_of_gigantic_clips_is_refused(changes: dict[str, Any], root: Path) -> None:
    change(root / "dataset.json", lambda index: index["format"].update(changes))
    with pytest.raises(DataError, match=r"dataset\.json' is damaged: format"):
        load_index(str(root))


def test_the_largest_usual_formats_are_allowed() -> None:
    ClipFormat(num_segments=60, frame_size=1080, sample_rate_hz=192_000, num_mels=256, n_fft=8192, hop_length=1920)
    ClipFormat(num_segments=600, frame_size=512)


def test_more_clips_than_there_are_are_refused_before_they_are_ordered(root: Path) -> None:
    """An order of 10^12 clips would have 8 terabytes."""
    change(root / "dataset.json", lambda index: index["num_clips"].update(train=10**12))
    with pytest.raises(
        ShardError, match=r"split 'train' of .* has 24 clips by its shards' records, .* says 1,000,000,000,000"
    ):
        len(open_split(str(root), "train"))


def test_a_label_without_a_class_is_refused(root: Path) -> None:
    change(root / "train/000000.json", lambda record: record["samples"][2].update(label=10**9))
    with pytest.raises(ShardError, match=r"has label 1000000000, dataset\.json names 4 classes"):
        len(open_split(str(root), "train"))


@pytest.fixture
def clip(tiny_dataset: Path) -> StoredKey:
    return load_shard_record(str(tiny_dataset), SHARD).samples[0]


@pytest.fixture
def sample(tiny_dataset: Path, clip: StoredKey) -> StoredSample:
    return read_sample(Store(str(tiny_dataset)), SHARD, clip, load_index(str(tiny_dataset)).format)


def test_a_clip_of_terabytes_is_refused_before_it_is_read(
    tiny_dataset: Path, clip: StoredKey, sample: StoredSample
) -> None:
    large = clip.model_copy(update={"length": 10**12})
    with pytest.raises(SampleError, match=r"has 1,000,000,000,000 bytes, a clip of this format at most"):
        read_sample(Store(str(tiny_dataset)), SHARD, large, sample.clip_format)


def packed(sample: StoredSample, **headers: object) -> bytes:
    """The sample as a piece of tar whose first header is changed."""
    first, *others = sample.members.items()
    header = tarfile.TarInfo(f"{sample.key}.{first[0]}")
    header.size = len(first[1])
    for name, value in headers.items():
        setattr(header, name, value)
    begin = header.tobuf(tarfile.USTAR_FORMAT) + first[1] + bytes(-len(first[1]) % tarfile.BLOCKSIZE)
    return begin + b"".join(tar_member(f"{sample.key}.{name}", data) for name, data in others)


def with_prefix(data: bytes) -> bytes:
    return data[:345] + b"../../etc" + data[354:]


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        *(({"type": kind, "linkname": "/etc/passwd"}, "is a link, a folder, a device") for kind in (b"1", b"2")),
        *(
            ({"type": kind}, "is a link, a folder, a device")
            for kind in (b"3", b"4", b"5", b"6", b"x", b"g", b"L", b"S")
        ),
        ({"size": 8**11 - 1}, "a file of 8,589,934,591 bytes begins where"),
        ({"name": "../x.audio.flac"}, "holds other files than it should: '../x.audio.flac'"),
        ({"name": "/etc/passwd"}, "holds other files than it should: '/etc/passwd'"),
    ],
)
def test_a_tar_holds_the_files_of_its_clip_alone(headers: dict[str, object], says: str, sample: StoredSample) -> None:
    assert split_sample(packed(sample), sample.key, sample.clip_format) == sample
    with pytest.raises(SampleError, match=says):
        split_sample(packed(sample, **headers), sample.key, sample.clip_format)


def test_a_file_below_a_folder_or_given_twice_is_refused(sample: StoredSample) -> None:
    """Other programs would put the prefix before the name."""
    with pytest.raises(SampleError, match="below a folder"):
        split_sample(with_prefix(packed(sample)), sample.key, sample.clip_format)
    twice = packed(sample) + tar_member(f"{sample.key}.json", b"{}")
    with pytest.raises(SampleError, match="holds other files than it should"):
        split_sample(twice, sample.key, sample.clip_format)


def jpeg_bomb() -> bytes:
    """A small JPEG whose header says 65,500 x 65,500 pixels: 13 GB."""
    jpeg = encode_jpeg(np.zeros((32, 32, 3), np.uint8), 95)
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", 65_500, 65_500) + jpeg[at + 4 :]


def flac_bomb() -> bytes:
    """An hour of silence: 58 million samples in a few kilobytes a minute."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000 * 600), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


def npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


BOMBS: list[tuple[str, bytes, Callable[[StoredSample], object], str]] = [
    ("frame_00.jpg", jpeg_bomb(), lambda one: one.frame(0), r"frame 0: is \(65500, 65500, 3\), dataset.json says"),
    ("frame_00.jpg", jpeg_bomb(), lambda one: one.small_grey_frame(0, min_pixels=28), r"frame 0: is \(65500, 65500, 3"),
    ("frame_00.jpg", b"\x89PNG\r\n\x1a\n", lambda one: one.jpeg(0), "frame 0: does not decode"),
    (AUDIO_MEMBER, flac_bomb(), lambda one: one.waveform(), "the sound has more than 32,000 samples at 16,000 Hz"),
    (AUDIO_MEMBER, encode_flac(np.zeros(9, np.int16), 16_000), lambda one: one.waveform(), "the sound has 9 samples"),
    *(
        (
            LOGMEL_MEMBER,
            npy_header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"),
            StoredSample.logmel,
            says,
        )
        for kind, shape, says in (
            ("'<f2'", "(1000000, 1000000, 1000000)", r"is float16 \(1000000, 1000000, 1000000\), dataset.json says"),
            ("'<f2'", f"({10**30},)", "the log-mel array"),
            ("'|V1000000000'", "(4, 32, 50)", "the log-mel array cannot be read"),
            ("'|O'", "(4, 32, 50)", "the log-mel array cannot be read: it is no array of numbers"),
            ("'<f2'", "(" * 400, "the log-mel array cannot be read"),
            ("'<f2'", "-" * 5000 + "1", "the log-mel array cannot be read"),
        )
    ),
    (LOGMEL_MEMBER, b"\x80\x04\x95", StoredSample.logmel, "the log-mel array cannot be read"),
    (RECORD_MEMBER, b"[" * 100_000, StoredSample.record, "its json is no clip record"),
    (RECORD_MEMBER, b" " * (5 << 20), StoredSample.record, "its json has 5,242,880 bytes; allowed: 4,194,304"),
]


@pytest.mark.parametrize(
    ("member", "data", "read", "says"), BOMBS, ids=[f"{n} {each[0]}" for n, each in enumerate(BOMBS)]
)
def test_a_member_that_claims_or_unpacks_to_more_is_refused_at_once(
    member: str, data: bytes, read: Callable[[StoredSample], object], says: str, sample: StoredSample
) -> None:
    """Neither time nor memory: less than a second, and less than 8 MB beside what the file itself has."""
    hostile = StoredSample(sample.key, {**sample.members, member: data}, sample.clip_format)
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(SampleError, match=says):
        read(hostile)
    seconds, (_, peak) = time.perf_counter() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 1
    assert peak < 8 << 20
