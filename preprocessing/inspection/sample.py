"""How a stored sample is read: by its byte range, without the rest of its shard."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydantic import ValidationError

from preprocessing.inspection.stored import Place
from preprocessing.schema import ClipFormat, ClipRecord
from preprocessing.storage.flac import SoundError
from preprocessing.storage.flac import decode_flac as flac_samples
from preprocessing.storage.store import Store, StoreError


class UnreadableSampleError(ValueError):
    """What lies at a sample's place is no whole sample."""


@dataclass(frozen=True)
class Sample:
    """The files of one stored clip."""

    record: ClipRecord
    jpegs: tuple[bytes, ...]
    """One frame per segment."""
    flac: bytes
    patches: NDArray[np.float16]
    """Log-mel in [0, 1]: `[segments, mels, steps]`."""


def read_sample(root: str, place: Place, clip_format: ClipFormat) -> Sample:
    """Read one clip of the data set at `root`.

    Raises:
        UnreadableSampleError: if its bytes are not there or are damaged where that shows.
    """
    try:
        data = Store(root).read_range(place.shard, place.sample.offset, place.sample.length)
        members = read_members(data, place.sample.key)
        sample = Sample(
            record=ClipRecord.model_validate_json(members["json"]),
            jpegs=tuple(members[f"frame_{index:02d}.jpg"] for index in range(clip_format.num_segments)),
            flac=members["audio.flac"],
            patches=np.load(io.BytesIO(members["logmel.npy"]), allow_pickle=False),
        )
    except KeyError as error:
        raise UnreadableSampleError(f"'{place.sample.key}' has no member {error}") from error
    except (OSError, StoreError, ValidationError, ValueError, tarfile.TarError) as error:
        raise UnreadableSampleError(f"'{place.sample.key}': {first_line(error)}") from error
    shape = (clip_format.num_segments, clip_format.num_mels, clip_format.steps)
    if sample.patches.shape != shape:
        raise UnreadableSampleError(f"'{place.sample.key}': log-mel is {sample.patches.shape}, the format says {shape}")
    if len(sample.record.frame_seconds) != clip_format.num_segments:
        raise UnreadableSampleError(
            f"'{place.sample.key}': its record has the times of {len(sample.record.frame_seconds)} frames, "
            f"the format says {clip_format.num_segments}"
        )
    return sample


def read_members(data: bytes, key: str) -> dict[str, bytes]:
    """The files in a piece of tar, by what follows `<key>.` in their names."""
    members: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                members[member.name.removeprefix(f"{key}.")] = stream.read()
    return members


def decode_flac(flac: bytes) -> NDArray[np.int16]:
    """The waveform in a FLAC file: `[samples]`.

    Raises:
        UnreadableSampleError: if it is damaged.
    """
    try:
        return flac_samples(flac)
    except SoundError as error:
        raise UnreadableSampleError(str(error)) from error


def decode_grey(jpeg: bytes, *, at_least_pixels: int) -> NDArray[np.uint8]:
    """A frame in grey, as small as its file gives without work but with sides of `at_least_pixels` if it has them.

    Raises:
        UnreadableSampleError: if it is damaged.
    """
    try:
        grey = simplejpeg.decode_jpeg(
            jpeg, colorspace="GRAY", fastdct=True, min_height=at_least_pixels, min_width=at_least_pixels, min_factor=1
        )
    except ValueError as error:
        raise UnreadableSampleError(f"a frame cannot be decoded: {first_line(error)}") from error
    return np.asarray(grey[..., 0], np.uint8)


def first_line(error: Exception) -> str:
    """What an error says, short."""
    return (str(error).splitlines() or [type(error).__name__])[0]
