"""A clip to look at and listen to: each frame above the log-mel patch of the same segment, and the stored sound."""

from __future__ import annotations

import base64
import functools
import io
from dataclasses import dataclass

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preprocessing.inspection.measuring import Measures
from preprocessing.inspection.trouble import Suspicion
from preprocessing.schema import ClipRecord
from preprocessing.storage.stored_sample import StoredSample

JPEG_QUALITY = 82
PATCH_HEIGHT = 64


@dataclass(frozen=True)
class Column:
    """One segment."""

    begin_seconds: float
    end_seconds: float
    frame_seconds: float
    """Presentation time of the frame on the video clock."""
    mark_percent: float
    """Position of that time in the segment; 0 if it was before."""
    frame: str
    """The picture as a data URI."""
    patch: str
    """The log-mel patch as a data URI, low frequencies at the bottom."""


@dataclass(frozen=True)
class Card:
    """One clip on the page: its numbers, its segments and its sound."""

    clip: Measures
    class_name: str
    suspicions: tuple[Suspicion, ...]
    columns: tuple[Column, ...]
    num_segments: int
    sound: str
    """The stored FLAC as a data URI."""
    has_sound: bool = False
    """True if the page has room for the sound."""


def make_card(
    clip: Measures,
    sample: StoredSample,
    *,
    class_name: str,
    suspicions: tuple[Suspicion, ...],
    picture_pixels: int,
    max_columns: int,
) -> Card:
    """Pictures and sound of one clip."""
    shown = np.unique(np.linspace(0, sample.clip_format.num_segments - 1, max_columns).round().astype(int)).tolist()
    return Card(
        clip=clip,
        class_name=class_name,
        suspicions=suspicions,
        columns=tuple(column(clip.record, sample, segment, pixels=picture_pixels) for segment in shown),
        num_segments=sample.clip_format.num_segments,
        sound=data_uri("audio/flac", sample.flac),
    )


def column(record: ClipRecord, sample: StoredSample, segment: int, *, pixels: int) -> Column:
    """Frame and patch of one segment."""
    segment_seconds = sample.clip_format.segment_seconds
    begin = record.start_seconds + segment * segment_seconds
    shown = record.frame_seconds[segment]
    return Column(
        begin_seconds=begin,
        end_seconds=begin + segment_seconds,
        frame_seconds=shown,
        mark_percent=100 * min(max((shown - begin) / segment_seconds, 0.0), 1.0),
        frame=data_uri("image/jpeg", smaller_frame(sample.jpeg(segment), pixels)),
        patch=data_uri("image/jpeg", patch_picture(sample.logmel()[segment], pixels)),
    )


def smaller_frame(jpeg: bytes, pixels: int) -> bytes:
    """A frame with sides of at most `pixels`; one that is small enough stays as it is stored."""
    picture = Image.open(io.BytesIO(jpeg), formats=("JPEG",))
    if max(picture.size) <= pixels:
        return jpeg
    picture.draft("RGB", (pixels, pixels))
    return encoded(picture.convert("RGB").resize((pixels, pixels), Image.Resampling.LANCZOS))


def patch_picture(patch: NDArray[np.float16], pixels: int) -> bytes:
    """A patch `[mels, steps]`, dark for 0 and bright for 1, at most `pixels` wide and `PATCH_HEIGHT` high."""
    levels = np.clip(patch[::-1].astype(np.float32), 0, 1)
    picture = Image.fromarray(np.asarray(255 * levels + 0.5, np.uint8))
    size = (min(picture.width, pixels), min(picture.height, PATCH_HEIGHT))
    small = np.asarray(picture.resize(size, Image.Resampling.BOX))
    return encoded(Image.fromarray(colours()[small]))


@functools.cache
def colours() -> NDArray[np.uint8]:
    """Matplotlib's magma as a table: `[256, 3]`."""
    return np.asarray(matplotlib.colormaps["magma"](np.arange(256), bytes=True)[:, :3], np.uint8)


def encoded(picture: Image.Image) -> bytes:
    """A picture as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def data_uri(kind: str, data: bytes) -> str:
    """A file inside the page."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
