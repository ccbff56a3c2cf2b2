"""Names of the files of a stored sample, after its key."""

from __future__ import annotations

from functools import cache

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
