"""The contract of a stored data set: what a sample holds, what a shard records, what `dataset.json` says.

A stored sample follows the WebDataset convention; the members of one key, in this order inside the tar:

    <key>.audio.flac       mono, `sample_rate_hz`, 16 bit: the waveform the log-mel patches came from
    <key>.frame_00.jpg ... one JPEG per segment, `frame_size` x `frame_size` RGB
    <key>.json             `ClipRecord`
    <key>.logmel.npy       float16 `[segments, mels, steps]`, scaled to [0, 1] from `[LOGMEL_MIN_DB, LOGMEL_MAX_DB]`
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from preprocessing.store import Store, refuse_credentials
from preprocessing.store import join as join

FORMAT_VERSION = 2
"""Raised whenever stored bytes change their meaning."""

LOGMEL_MIN_DB = -60.0
"""Stored as 0: the level of digital silence, 10 log10(1e-6)."""
LOGMEL_MAX_DB = 50.0
"""Stored as 1: just above a full-scale sine, (n_fft / 4)^2 = 48 dB at n_fft 1024 with a Hann window."""

SPLITS = ("train", "validation", "test")
Split = Literal["train", "validation", "test"]

Place = Annotated[str, Field(min_length=1), AfterValidator(refuse_credentials)]
"""A folder that all nodes see, or any fsspec URL without credentials in it."""

INDEX_NAME = "dataset.json"
PLAN_NAME = "plan.json"
REJECTED_NAME = "rejected.csv"


class Settings(BaseModel):
    """Base of everything that can be set or recorded: frozen, and unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
    )


class ClipFormat(Settings):
    """How a clip is stored: its segments, and the size and rate of both streams.

    Frame t is the frame on screen at the middle of segment t; log-mel patch t covers exactly segment t.
    """

    num_segments: PositiveInt = 10
    """Segments per clip."""
    segment_seconds: PositiveFloat = 1.0
    """Length of a segment in seconds."""
    frame_size: PositiveInt = 224
    """Height and width of a stored frame in pixels: the short side is scaled to it, the middle is kept."""
    jpeg_quality: int = Field(default=95, ge=1, le=100)
    """JPEG quality of stored frames."""
    sample_rate_hz: PositiveInt = 16_000
    """Rate of the stored mono waveform."""
    num_mels: PositiveInt = 128
    """Mel bands between 0 Hz and half the sample rate (HTK scale)."""
    n_fft: PositiveInt = 1024
    """Samples per Fourier window (Hann)."""
    hop_length: PositiveInt = 160
    """Samples between two log-mel steps."""

    @property
    def clip_seconds(self) -> float:
        """Length of the stored clip in seconds."""
        return self.num_segments * self.segment_seconds

    @property
    def segment_samples(self) -> int:
        """Waveform samples per segment."""
        return round(self.segment_seconds * self.sample_rate_hz)

    @property
    def steps(self) -> int:
        """Log-mel steps per segment."""
        return self.segment_samples // self.hop_length

    @model_validator(mode="after")
    def _segments_fit_the_grid(self) -> ClipFormat:
        exact = self.segment_seconds * self.sample_rate_hz
        if abs(exact - round(exact)) > 1e-6 or round(exact) % self.hop_length:
            raise ValueError(
                f"segment_seconds={self.segment_seconds} at {self.sample_rate_hz} Hz is {exact:g} samples; "
                f"it must be a whole multiple of hop_length={self.hop_length}"
            )
        if self.segment_samples <= (self.n_fft - self.hop_length) // 2 or self.n_fft < self.hop_length:
            raise ValueError(
                f"a segment of {self.segment_samples} samples is too short for n_fft={self.n_fft} and "
                f"hop_length={self.hop_length}: lower n_fft or raise segment_seconds"
            )
        return self


class ClipRecord(Settings):
    """What `<key>.json` says about one stored clip."""

    key: str
    label: int
    class_name: str
    source: str
    """Path of the source video relative to the data set's roots."""
    source_sha256: str
    start_seconds: float
    """Start of segment 0 on the video clock (0 = the first shown frame)."""
    end_seconds: float
    frame_seconds: tuple[float, ...]
    """Presentation time of each stored frame on the video clock."""
    video_coverage: float = Field(ge=0, le=1)
    """Share of the clip during which a frame of the video is on screen; after it the last frame stays."""
    audio_coverage: float = Field(ge=0, le=1)
    """Share of the clip's waveform that real audio covers; the rest is zero."""
    missing_frames: int = Field(ge=0)
    """Stored frames that stand in for one that did not decode: they are the one before it."""
    decode_errors: int = Field(ge=0)
    """Packets the decoder refused."""
    saturation_share: float = Field(ge=0, le=1)
    """Share of log-mel values clipped at `LOGMEL_MAX_DB`."""


class StoredKey(Settings):
    """Where one sample lies inside its shard."""

    key: str
    label: int
    offset: int
    """Byte offset of the sample's first tar header."""
    length: int
    """Bytes up to the next sample's first header."""
    source_sha256: str
    """Of the video that the sample was made from."""


class Rejection(Settings):
    """A clip that was left out, and why."""

    file: str
    split: Split
    reason: str
    """One word, such as `no_audio`, `too_short`, `open_failed`, `timeout`, `crash`."""
    detail: str


class ShardRecord(Settings):
    """The commit record `<split>/<number>.json` of `<split>/<number>.tar`: written after it, so it means complete."""

    name: str
    """`train/000000.tar`, relative to the data set."""
    split: Split
    plan_sha256: str
    bytes: int
    sha256: str
    samples: tuple[StoredKey, ...]
    rejected: tuple[Rejection, ...]
    libraries: dict[str, str]
    """Versions of the libraries that decide bytes, where the shard was built."""


class ShardSummary(Settings):
    """A shard as `dataset.json` lists it."""

    name: str
    num_samples: int
    bytes: int
    sha256: str


class DatasetIndex(Settings):
    """`dataset.json`: written last, so its presence means that the data set is complete."""

    format_version: int = FORMAT_VERSION
    name: str
    format: ClipFormat
    classes: tuple[str, ...]
    """Class names; a label is an index into them."""
    num_clips: dict[Split, int]
    num_rejected: int
    shards: dict[Split, tuple[ShardSummary, ...]]
    plan_sha256: str
    content_sha256: str
    """SHA-256 over the shards' SHA-256 in order: names the exact data."""
    config: dict[str, object]
    """The resolved preprocessing config."""


def load_index(root: str) -> DatasetIndex:
    """Read `dataset.json` of a finished data set (local folder or fsspec URL).

    Raises:
        ValueError: if there is none (preprocessing did not finish), it is damaged, or its format version is another.
        StoreError: if the store does not give it.
    """
    store = Store(root)
    path = store.url(INDEX_NAME)
    try:
        text = store.read(INDEX_NAME)
    except FileNotFoundError:
        raise ValueError(
            f"'{path}' does not exist: '{root}' is not a finished data set; run `python -m pipeline preprocess` on it"
        ) from None
    try:
        raw = json.loads(text)
        version = raw.get("format_version")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"'{path}' is damaged: {error}") from error
    if version != FORMAT_VERSION:
        raise ValueError(
            f"'{path}' has format version {version}, this code reads {FORMAT_VERSION}: preprocess the data set again"
        )
    return DatasetIndex.model_validate(raw)


def record_name(shard_name: str) -> str:
    """The name of a shard's commit record."""
    return shard_name.removesuffix(".tar") + ".json"


def load_shard_record(root: str, shard_name: str) -> ShardRecord:
    """Read the commit record of `shard_name` (`train/000000.tar`).

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no record.
    """
    return ShardRecord.model_validate_json(Store(root).read(record_name(shard_name)))
