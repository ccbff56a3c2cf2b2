"""One stored sample: the piece of a shard that holds a clip's files, read by its byte range and decoded on demand.

Training, inspection and verification all read clips here, so what one of them accepts the others accept too.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydantic import ValidationError

from preprocessing.errors import DataError
from preprocessing.schema import ClipFormat, ClipRecord, StoredKey
from preprocessing.storage.members import AUDIO_MEMBER, LOGMEL_MEMBER, RECORD_MEMBER, frame_members, member_names
from preprocessing.storage.store import Store

TYPE, PREFIX = slice(156, 157), slice(345, 500)
"""Places in a tar's header: the type of what follows, and the folder that other programs put before its name."""
REGULAR = b"0\0"
"""Types of a regular file."""
ARRAY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<>|][bfiu][1248])', 'fortran_order': False, 'shape': \(([\d, ]*)\), *\} *\n",
    re.DOTALL,
)
MAX_ARRAY_HEADER_BYTES = 1024
MAX_CLIP_RECORD_BYTES = 4 << 20


class SampleError(DataError):
    """A stored sample is damaged, or is not the clip that its shard's record names."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(key, problem)
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        return f"clip '{self.key}': {self.problem}"


def read_sample(store: Store, shard: str, clip: StoredKey, clip_format: ClipFormat) -> StoredSample:
    """Read one clip of a shard, and nothing else of it.

    Raises:
        SampleError: if the shard holds something else there, or more than a clip of this format can have.
        FileNotFoundError: if there is no such shard.
        StoreError: if the store does not give it.
    """
    if clip.length > (most := most_bytes(clip_format)):
        raise SampleError(clip.key, f"has {clip.length:,} bytes, a clip of this format at most {most:,}")
    return split_sample(store.read_range(shard, clip.offset, clip.length), clip.key, clip_format)


def most_bytes(clip_format: ClipFormat) -> int:
    """More bytes than any stored clip has: twice what is in it, and room for headers and its record."""
    return clip_format.num_segments * (2 * clip_format.segment_bytes + 8192) + (1 << 20)


def split_sample(data: bytes, key: str, clip_format: ClipFormat, *, strict: bool = False) -> StoredSample:
    """Take the piece of tar that holds a clip apart into its files; `strict` also checks every header's checksum.

    Raises:
        SampleError: if it is no such piece, or holds other files than the format says.
    """
    try:
        members = tar_members(data, strict=strict)
    except (ValueError, tarfile.TarError) as error:
        raise SampleError(key, f"is no readable tar: {error}") from error
    names = member_names(clip_format.num_segments)
    found, wanted = [name for name, _ in members], [f"{key}.{name}" for name in names]
    if found != wanted:
        wrong = next((name for name in [*found, *wanted] if name not in wanted or name not in found), "their order")
        raise SampleError(key, f"holds other files than it should: {wrong!r}")
    return StoredSample(key, dict(zip(names, (content for _, content in members), strict=True)), clip_format)


@dataclass(frozen=True)
class StoredSample:
    """The files of one clip, each decoded and held against the clip format when it is asked for.

    All methods raise `SampleError` if a file is damaged or does not have the format.
    """

    key: str
    members: Mapping[str, bytes]
    """Content of every file by its name after the key."""
    clip_format: ClipFormat

    def jpeg(self, index: int) -> bytes:
        """A frame's file. Its header says the right size, so that decoding takes no more memory than it should."""
        jpeg = self.members[frame_members(self.clip_format.num_segments)[index]]
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
        except ValueError as error:
            raise SampleError(self.key, f"frame {index}: does not decode: {first_line(error)}") from error
        if height != self.clip_format.frame_size or width != self.clip_format.frame_size:
            problem = f"is ({height}, {width}, 3), dataset.json says {(*[self.clip_format.frame_size] * 2, 3)}"
            raise SampleError(self.key, f"frame {index}: {problem}")
        return jpeg

    @property
    def flac(self) -> bytes:
        """The waveform's file."""
        return self.members[AUDIO_MEMBER]

    def record(self) -> ClipRecord:
        """The facts recorded about the clip."""
        data = self.members[RECORD_MEMBER]
        if len(data) > MAX_CLIP_RECORD_BYTES:
            raise SampleError(self.key, f"its json has {len(data):,} bytes; allowed: {MAX_CLIP_RECORD_BYTES:,}")
        try:
            record = ClipRecord.model_validate_json(data)
        except ValidationError as error:
            raise SampleError(self.key, f"its json is no clip record: {error.errors()[0]['msg']}") from error
        num_times, num_segments = len(record.frame_seconds), self.clip_format.num_segments
        if num_times != num_segments:
            problem = f"its json has the times of {num_times} frames, dataset.json says {num_segments}"
            raise SampleError(self.key, problem)
        return record

    def frame(self, index: int, *, into: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """A segment's frame as RGB `[height, width, 3]`, decoded into an array of that shape if one is given."""
        return self._decode_jpeg(index, buffer=into)

    def decode_frames(self, *, into: NDArray[np.uint8]) -> None:
        """Decode all frames into `[segments, height, width, 3]`."""
        for index, slot in enumerate(into):
            self.frame(index, into=slot)

    def small_grey_frame(self, index: int, *, min_pixels: int) -> NDArray[np.uint8]:
        """A segment's frame in grey, as small as its file gives without work, with sides of `min_pixels` or more."""
        size = {"min_height": min_pixels, "min_width": min_pixels, "min_factor": 1}
        return self._decode_jpeg(index, colorspace="GRAY", fastdct=True, **size)[..., 0]

    def logmel(self) -> NDArray[np.float16]:
        """The log-mel patches `[segments, mels, steps]`; read-only."""
        npy = self.members[LOGMEL_MEMBER]
        wanted = (self.clip_format.num_segments, self.clip_format.num_mels, self.clip_format.steps)
        try:
            kind, shape, start = array_layout(npy[: 10 + int.from_bytes(npy[8:10], "little")])
            if shape == wanted and kind == np.float16:
                patches: NDArray[np.float16] = np.frombuffer(npy, np.float16, offset=start).reshape(shape)
                return patches
        except ValueError as error:
            raise SampleError(self.key, f"the log-mel array cannot be read: {first_line(error)}") from error
        raise SampleError(self.key, f"the log-mel array is {kind} {shape}, dataset.json says float16 {wanted}")

    def waveform(self) -> NDArray[np.int16]:
        """The mono waveform `[segments * segment_samples]`, exactly as it was stored."""
        num_samples = self.clip_format.num_segments * self.clip_format.segment_samples
        try:
            rate_hz, samples = decode_flac(self.flac, max_samples=num_samples)
        except ValueError as error:
            raise SampleError(self.key, f"the sound cannot be decoded: {first_line(error)}") from error
        counted = f"{len(samples):,}" if len(samples) <= num_samples else f"more than {num_samples:,}"
        found = f"{counted} samples at {rate_hz:,} Hz"
        wanted = f"{num_samples:,} samples at {self.clip_format.sample_rate_hz:,} Hz"
        if found != wanted:
            raise SampleError(self.key, f"the sound has {found}, dataset.json says {wanted}")
        return samples

    def _decode_jpeg(self, index: int, **options: Any) -> NDArray[np.uint8]:
        jpeg = self.jpeg(index)
        try:
            picture: NDArray[np.uint8] = simplejpeg.decode_jpeg(jpeg, **options)
        except ValueError as error:
            raise SampleError(self.key, f"frame {index}: does not decode: {first_line(error)}") from error
        return picture


def tar_members(data: bytes, *, strict: bool = False) -> list[tuple[str, bytes]]:
    """Name and content of each file in a piece of plain ustar, twenty times faster than `tarfile`.

    Raises:
        ValueError: if it is none, cut off, or holds a link, a folder, a device or an extended header.
        tarfile.TarError: with `strict`, if a header is damaged.
    """
    members: list[tuple[str, bytes]] = []
    start = 0
    while any(header := data[start : start + tarfile.BLOCKSIZE]):
        if strict:
            tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        name, size = header[:100].rstrip(b"\0").decode(), int(header[124:135], 8)
        if header[TYPE] not in REGULAR or header[PREFIX].strip(b"\0"):
            raise ValueError(f"{name!r} is a link, a folder, a device, or below a folder; allowed: regular files")
        start += tarfile.BLOCKSIZE
        if not 0 <= size <= len(data) - start:
            raise ValueError(f"a file of {size:,} bytes begins where {max(len(data) - start, 0):,} are left")
        members.append((name, data[start : start + size]))
        start += -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return members


@lru_cache
def array_layout(header: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Type, shape and first byte of the array whose `.npy` file begins so.

    numpy would evaluate such a header as Python, for every clip, and fail in many ways on those that are none.

    Raises:
        ValueError: if it is no header of format 1.0 of an array of numbers in C order: nothing is ever unpickled.
    """
    found = ARRAY_HEADER.fullmatch(header[:MAX_ARRAY_HEADER_BYTES])
    if found is None or len(header) > MAX_ARRAY_HEADER_BYTES:
        raise ValueError("it is no array of numbers in C order, of format 1.0")
    kind, shape = (each.decode() for each in found.groups())
    return np.dtype(kind), tuple(int(size) for size in shape.split(",") if size.strip()), len(header)


def decode_flac(flac: bytes, *, max_samples: int) -> tuple[int, NDArray[np.int16]]:
    """Rate in Hz and samples of a FLAC file of one channel and 16 bit.

    A few bytes of FLAC may stand for any length of silence: decoding stops behind the first block with which the
    samples are more than `max_samples`, and what was decoded until then is returned.

    Raises:
        ValueError: if it is damaged, or something else.
    """
    blocks: list[NDArray[np.int16]] = []
    num_samples = rate_hz = 0
    try:
        with av.open(io.BytesIO(flac), "r", format="flac") as container:
            for frame in container.decode(audio=0):
                found = (frame.layout.nb_channels, frame.format.name)
                if found != (1, "s16"):
                    raise ValueError(f"it has {found[0]} channels of {found[1]}; it should have one of s16")
                blocks.append(frame.to_ndarray()[0])
                num_samples, rate_hz = num_samples + frame.samples, frame.sample_rate
                if num_samples > max_samples:
                    break
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(first_line(error)) from error
    if not blocks:
        raise ValueError("it has no samples")
    return rate_hz, np.asarray(np.concatenate(blocks), np.int16)


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
