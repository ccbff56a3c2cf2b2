"""The contract of a stored data set: what a sample holds, what a shard records, what `dataset.json` says.

A stored sample follows the WebDataset convention; the members of one key, in this order inside the tar:

    <key>.audio.flac       mono, `sample_rate_hz`, 16 bit: the waveform the log-mel patches came from
    <key>.frame_00.jpg ... one JPEG per segment, `frame_size` x `frame_size` RGB
    <key>.json             `ClipRecord`
    <key>.logmel.npy       float16 `[segments, mels, steps]`, scaled to [0, 1] from `[LOGMEL_MIN_DB, LOGMEL_MAX_DB]`
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from preprocessing.settings import Settings

FORMAT_VERSION = 3
"""Of `dataset.json`: raised whenever stored bytes change their meaning, or there are others."""

LOGMEL_MIN_DB = -60.0
"""Stored as 0: the level of digital silence, 10 log10(1e-6)."""
LOGMEL_MAX_DB = 50.0
"""Stored as 1: just above a full-scale sine, (n_fft / 4)^2 = 48 dB at n_fft 1024 with a Hann window."""

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

INDEX_NAME = "dataset.json"
PLAN_NAME = "plan.json"
REJECTED_NAME = "rejected.csv"

AUDIO_MEMBER = "audio.flac"
RECORD_MEMBER = "json"
LOGMEL_MEMBER = "logmel.npy"


@cache
def frame_members(num_segments: int) -> tuple[str, ...]:
    """Names of a sample's frames after its key: `frame_00.jpg`, `frame_01.jpg`, ..."""
    return tuple(f"frame_{index:02d}.jpg" for index in range(num_segments))


@cache
def member_names(num_segments: int) -> tuple[str, ...]:
    """Names of all files of a sample after its key, in the order in which a shard holds them."""
    return (AUDIO_MEMBER, *frame_members(num_segments), RECORD_MEMBER, LOGMEL_MEMBER)


class WantedFormat(Settings):
    """The format in which clips are to be stored: their segments, and the size and rate of both streams.

    Frame t is the frame on screen at the middle of segment t; log-mel patch t covers exactly segment t.
    """

    num_segments: PositiveInt | Literal["auto"] = 10
    """Segments per clip. `auto`: as many as nearly all videos are long enough for, ten at most, decided once from a
    sample of every class before any shard is built: no more than 5 % of the sample are lost, and of a class no more
    than a fifth or one."""
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
    def segment_samples(self) -> int:
        """Waveform samples per segment."""
        return round(self.segment_seconds * self.sample_rate_hz)

    @property
    def steps(self) -> int:
        """Log-mel steps per segment."""
        return self.segment_samples // self.hop_length

    @model_validator(mode="after")
    def _segments_fit_the_grid(self) -> WantedFormat:
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


class ClipFormat(WantedFormat):
    """The format in which clips are stored, with a number of segments that is settled."""

    num_segments: PositiveInt = 10
    """Segments per clip."""

    @property
    def clip_seconds(self) -> float:
        """Length of the stored clip in seconds."""
        return self.num_segments * self.segment_seconds


class Tracks(Settings):
    """The tracks of a video, and which of them were taken: those flagged as default, as a player takes them."""

    video: int = Field(ge=0)
    """Number of the video track, from 0; cover art does not count."""
    num_video: PositiveInt
    """Video tracks that there are."""
    audio: int = Field(ge=0)
    """Number of the audio track, from 0."""
    num_audio: PositiveInt
    """Audio tracks that there are."""


class ClipRecord(Settings):
    """The content of `<key>.json`: the facts about one stored clip."""

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
    tracks: Tracks | None = None
    """The tracks that were taken, if the video has several of a kind; left out if it has one of each."""


class StoredKey(Settings):
    """One sample's entry in the record of its shard: its key, its label and its byte range."""

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


FileKind = Literal["video", "other_container", "list", "other"]
"""`other_container`: a video by its name, of a container that is not read."""
FolderRole = Literal["class", "split", "neither", "left_out"]


class FilesSeen(Settings):
    """The files of one ending."""

    ending: str
    """In small letters, with its dot; empty if there is none."""
    kind: FileKind
    seen: int
    used: int
    """Those that a clip is cut from, or a list that was read."""


class FolderRead(Settings):
    """A folder, and what it is taken as."""

    folder: str
    """Path relative to the data set's roots."""
    role: FolderRole
    meaning: str
    """The class or the split; of one that is left out, the reason."""
    num_videos: int
    """Files below it whose ending is a video's."""


class ListRead(Settings):
    """A file that may be a list of clips, and what was made of it."""

    file: str
    read_as: str
    """Its form and encoding in words: `CSV with ';', UTF-16`. Empty if it was passed over."""
    num_rows: int
    num_used: int
    """Rows that name a clip of a known class."""
    reason: str
    """Empty, or why it was passed over, or why rows of it were."""


class LeftOut(Settings):
    """The videos that are left out for one reason before any is opened."""

    reason: str
    count: int
    example: str


class Accounting(Settings):
    """All that was seen in the data set's folders and lists, against what is used of it.

    Of all files seen with a video's ending each is used or left out: the counts add up.
    """

    layout: str = ""
    """The reading of the folders, in words."""
    files: tuple[FilesSeen, ...] = ()
    folders: tuple[FolderRead, ...] = ()
    lists: tuple[ListRead, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def num_seen(self) -> int:
        """Files with a video's ending."""
        return sum(each.seen for each in self.files if each.kind in ("video", "other_container"))

    @property
    def num_used(self) -> int:
        """Of these, the ones that clips are cut from."""
        return sum(each.used for each in self.files if each.kind in ("video", "other_container"))

    def num_left_out(self, reason: str) -> int:
        """Videos left out for this reason."""
        return sum(each.count for each in self.left_out if each.reason == reason)


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
    accounting: Accounting | None = None
    """All that was seen in the folders and lists, against what is used; None of data sets of format version 2."""
    plan_sha256: str
    content_sha256: str
    """SHA-256 over the shards' SHA-256 in order: names the exact data."""
    config: dict[str, object]
    """The resolved preprocessing config."""
