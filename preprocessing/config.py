"""Settings of preprocessing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from preprocessing.datasets import AnyDataset
from preprocessing.decoding.acceptance import DecodeOptions
from preprocessing.decoding.parent import ProcessLimits
from preprocessing.schema import ClipFormat, WantedFormat
from preprocessing.settings import Settings, plain
from preprocessing.storage.places import Place


class AcceptanceRules(Settings):
    """Rules by which videos become clips. A video that breaks one is left out and recorded with its reason."""

    missing_tail: Literal["reject", "pad"] = "reject"
    """Treatment of a clip whose video or sound ends before it does. `reject`: it is left out, as `too_short` or
    `sound_ends_early`. `pad`: the last frame stays, the missing sound is silence, and the sample's record says how much
    is real, in `video_coverage` and `audio_coverage`."""
    missing_end_segments: float = Field(default=0.25, ge=0, le=0.5)
    """Most time by which a stream may end before the clip without being called short, in segments: the last segment's
    middle must be shown (many ten-second Kinetics clips last 9.9 s)."""
    min_video_coverage: float = Field(default=0.1, ge=0, le=1)
    """Share of the clip during which a frame of the video must be on screen. Below it: `video_coverage`."""
    min_audio_coverage: float = Field(default=0.1, ge=0, le=1)
    """Share of the clip that real sound must cover. Below it: `audio_coverage`."""
    max_decode_errors: NonNegativeInt = 3
    """Packets of a video that may fail to decode. Beyond it: `decode_errors`."""
    max_missing_frames: NonNegativeInt = 0
    """Wanted frames that may fail to decode; the one before is stored in their place. Beyond it: `missing_frames`."""
    max_side_pixels: PositiveInt = 4096
    """Largest width or height. Beyond it: `too_large`."""
    max_frames_per_second: PositiveFloat = 240.0
    """Highest frame rate; the 240.05 of phones count as 240. Beyond it: `frame_rate`."""
    max_still_seconds: PositiveFloat = 10.0
    """Longest time between two frames: beyond it the clock has jumped, `timestamp_jump`."""
    max_source_seconds: PositiveFloat = 600.0
    """Longest video. Beyond it: `too_long`."""

    def decode_options(self, clip_format: ClipFormat) -> DecodeOptions:
        """Settings that the decoder process is given for clips of a format."""
        return DecodeOptions(
            num_segments=clip_format.num_segments,
            segment_seconds=clip_format.segment_seconds,
            offset=clip_format.offset,
            sample_rate_hz=clip_format.sample_rate_hz,
            frame_size=clip_format.frame_size,
            jpeg_quality=clip_format.jpeg_quality,
            **self.model_dump(),
        )


class DecodeLimits(Settings):
    """Most that decoding one clip may cost before the decoder process is killed."""

    clip_seconds: PositiveFloat = 60.0
    """Wall-clock seconds. Beyond it: `timeout`."""
    memory_mib: PositiveInt = 2048
    """The most address space that the decoder process may ever hold, in MiB; it needs about 600 by itself. Beyond it:
    `memory`."""

    @property
    def process_limits(self) -> ProcessLimits:
        """Limits as the decoder process is given them."""
        return ProcessLimits(clip_seconds=self.clip_seconds, memory_mib=self.memory_mib)


class PreprocessConfig(Settings):
    """Videos -> shards."""

    dataset: AnyDataset
    """The labelled videos, and how their folders are read."""
    output: Place
    """Output: a folder that all nodes see, or any fsspec URL; credentials come from the environment."""
    format: WantedFormat = WantedFormat()
    """Format in which clips are stored."""
    workers: PositiveInt | None = None
    """Shards built at once, one CPU each. None: as many as the cluster has CPUs, or could have by adding nodes."""
    max_wait_minutes: PositiveFloat | None = 30.0
    """Minutes without a single node that could do the work before it gives up; None: it waits without end."""
    shard_size: PositiveInt = 128
    """Clips per shard; rejected ones leave their place empty."""
    seed: int = 0
    """Seed of the order in which clips are divided into shards."""
    max_rejected_share: float = Field(default=0.5, ge=0, le=1)
    """The job fails as soon as more than this share of all videos is left out."""
    repair: bool = False
    """True: finished shards are hashed again, with their videos, and those that have changed are built again."""
    rules: AcceptanceRules = AcceptanceRules()
    """Rules by which videos become clips."""
    limits: DecodeLimits = DecodeLimits()
    """Most that one clip may cost."""
    plan: bool = False
    """Only print what would be done and what it would cost, after decoding a few videos; nothing is written."""

    @property
    def clip_format(self) -> ClipFormat:
        """Format in which clips are stored, once the number of their segments is settled."""
        assert self.format.num_segments != "auto", "the number of segments is settled before it is used"
        return ClipFormat.model_validate(plain(self.format))

    def with_segments(self, num_segments: int) -> PreprocessConfig:
        """The same settings with so many segments per clip."""
        return PreprocessConfig.model_validate(
            {**plain(self), "format": {**plain(self.format), "num_segments": num_segments}}
        )

    @property
    def decode_options(self) -> DecodeOptions:
        """Settings that the decoder process is given."""
        return self.rules.decode_options(self.clip_format)

    @property
    def process_limits(self) -> ProcessLimits:
        """Limits beyond which the decoder process is killed."""
        return self.limits.process_limits

    def fingerprint(self) -> dict[str, object]:
        """The settings that decide what the shards hold, as plain data: a resumed run must have the same ones.

        Where videos, lists and shards lie, how folders are read (the plan tells each clip's class and split), how many
        workers there are and what a clip may cost are not among them.
        """
        chosen = self.model_dump(mode="json", include={"dataset", "format", "shard_size", "seed", "rules"})
        for setting in (*self.dataset.places, *self.dataset.readings):
            del chosen["dataset"][setting]
        return chosen
