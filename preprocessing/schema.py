"""The contract of a stored data set: what a sample holds, what a shard records, what `dataset.json` says.

A stored sample follows the WebDataset convention; the members of one key, in this order inside the tar:

    <key>.audio.flac       mono, `sample_rate_hz`, 16 bit: the waveform the log-mel patches came from
    <key>.frame_00.jpg ... one JPEG per segment, `frame_size` x `frame_size` RGB
    <key>.json             `ClipRecord`
    <key>.logmel.npy       float16 `[segments, mels, steps]`, scaled to [0, 1] from `[LOGMEL_MIN_DB, LOGMEL_MAX_DB]`
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from preprocessing.settings import GrownSettings, Settings

FORMAT_VERSION = 3
"""Of `dataset.json`: raised whenever stored bytes change their meaning, or there are others."""
LOGMEL_MIN_DB = -60.0
"""Stored as 0: the level of digital silence, 10 log10(1e-6)."""
LOGMEL_MAX_DB = 50.0
"""Stored as 1: just above a full-scale sine, (n_fft / 4)^2 = 48 dB at n_fft 1024 with a Hann window."""
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")]
"""Name of a clip in its data set, with which the names of its files begin."""
ShardName = Annotated[str, Field(pattern=r"^(train|validation|test)/[A-Za-z0-9_-]{1,80}\.tar$")]
"""Place of a shard in its data set, such as `train/000000.tar`: no name leads out of the folder of its split."""
Count = Annotated[int, Field(ge=0, le=2**53)]
"""A number of things, or of bytes; the largest is the last that every reader of JSON knows exactly."""
MAX_CLIP_BYTES = 1 << 30
"""Of a decoded clip, which has 2 million by default."""
INDEX_NAME = "dataset.json"
PLAN_NAME = "plan.json"
REJECTED_NAME = "rejected.csv"


class WantedFormat(GrownSettings):
    """The format in which clips are to be stored: their segments, and the size and rate of both streams.

    Frame t is the frame on screen at the middle of segment t; log-mel patch t covers exactly segment t.
    """

    LATER: ClassVar[frozenset[str]] = frozenset({"offset"})
    num_segments: Annotated[PositiveInt, Field(le=10_000)] | Literal["auto"] = 10
    """Segments per clip. `auto`: as many as nearly all videos of a sample are long enough for, ten at most; lost are no
    more than 5 % of it, and of a class no more than a fifth or one."""
    segment_seconds: PositiveFloat = Field(default=1.0, le=3600)
    """Length of a segment in seconds."""
    offset: float = Field(default=0.0, ge=0, lt=1)
    """Share of a segment by which all segments begin later: the same clips at other moments, for `moments=other`."""
    frame_size: PositiveInt = Field(default=224, le=8192)
    """Height and width of a stored frame in pixels: the short side is scaled to it, the middle is kept."""
    jpeg_quality: int = Field(default=95, ge=1, le=100)
    """JPEG quality of stored frames."""
    sample_rate_hz: PositiveInt = Field(default=16_000, le=768_000)
    """Rate of the stored mono waveform."""
    num_mels: PositiveInt = Field(default=128, le=1024)
    """Mel bands between 0 Hz and half the sample rate (HTK scale)."""
    n_fft: PositiveInt = Field(default=1024, le=65_536)
    """Samples per Fourier window (Hann)."""
    hop_length: PositiveInt = Field(default=160, le=65_536)
    """Samples between two log-mel steps."""

    @property
    def segment_samples(self) -> int:
        """Waveform samples per segment."""
        return round(self.segment_seconds * self.sample_rate_hz)

    @property
    def steps(self) -> int:
        """Log-mel steps per segment."""
        return self.segment_samples // self.hop_length

    @property
    def segment_bytes(self) -> int:
        """Bytes of a decoded segment: its frame, its waveform and its log-mel patch."""
        return 3 * self.frame_size**2 + 2 * self.segment_samples + 2 * self.num_mels * self.steps

    @model_validator(mode="after")
    def _a_clip_fits_into_memory(self) -> WantedFormat:
        clip_bytes = self.segment_bytes * (1 if self.num_segments == "auto" else self.num_segments)
        if clip_bytes > MAX_CLIP_BYTES:
            raise ValueError(
                f"a clip has {clip_bytes:,} bytes once it is decoded, at most {MAX_CLIP_BYTES:,} are allowed: "
                "lower num_segments, frame_size, segment_seconds or sample_rate_hz"
            )
        return self

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

    num_segments: PositiveInt = Field(default=10, le=10_000)
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
    audio: int = Field(ge=0)
    """Number of the audio track, from 0."""
    num_audio: PositiveInt


class ClipRecord(Settings):
    """The content of `<key>.json`: the facts about one stored clip."""

    key: Key
    label: Count
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

    key: Key
    label: Count
    offset: Count
    """Byte offset of the sample's first tar header."""
    length: Count
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

    name: ShardName
    split: Split
    plan_sha256: str
    bytes: Count
    sha256: str
    samples: tuple[StoredKey, ...]
    rejected: tuple[Rejection, ...]
    libraries: dict[str, str]
    """Versions of the libraries that decide bytes, where the shard was built."""


class ShardSummary(Settings):
    """A shard as `dataset.json` lists it."""

    name: ShardName
    num_samples: Count
    bytes: Count
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
    num_clips: dict[Split, Count]
    num_rejected: Count
    shards: dict[Split, tuple[ShardSummary, ...]]
    accounting: Accounting | None = None
    """All that was seen in the folders and lists, against what is used; None of data sets of format version 2."""
    plan_sha256: str
    content_sha256: str
    """SHA-256 over the shards' SHA-256 in order: names the exact data."""
    config: dict[str, object]
    """The resolved preprocessing config."""
