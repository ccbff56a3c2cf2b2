"""A video of any length in the decoder process: read once, and decoded clip after clip."""

from __future__ import annotations

import hashlib
from functools import cached_property
from io import FileIO

from preprocessing.decoding.acceptance import DecodeOptions
from preprocessing.decoding.clip import Clip, decode_clip, prepared_tracks, read_file, read_streams


class LongVideo:
    """An open file whose packets are read once, so that all its clips together cost one reading and their decoding.

    Each clip is that of `decode_file`, bit for bit. Decoders keep something of what they have decoded, as the state of
    the noise that AAC draws, so the file's header is opened again for each: that gives fresh ones.

    Raises:
        DecodeError: if no clip of it could be stored.
    """

    def __init__(self, file: FileIO, options: DecodeOptions, *, suffix: str) -> None:
        self._file, self._options, self._suffix = file, options, suffix
        self._streams = read_file(
            file,
            options,
            suffix=suffix,
            read=lambda container, claimed: read_streams(
                container, prepared_tracks(container, options, claimed=claimed), options
            ),
        )

    @property
    def lengths(self) -> dict[str, float]:
        """Seconds of picture and of sound, by the times of the packets."""
        return {"video_seconds": self._streams.timeline.duration_seconds, "sound_seconds": self._streams.sound_seconds}

    @cached_property
    def source_sha256(self) -> str:
        """SHA-256 of the file."""
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()

    def clip(self, start_seconds: float | int) -> Clip:
        """The clip from `start_seconds` on the video clock.

        Raises:
            DecodeError: if it cannot be stored.
        """
        return read_file(
            self._file,
            self._options,
            suffix=self._suffix,
            read=lambda container, claimed: decode_clip(
                prepared_tracks(container, self._options, claimed=claimed), self._streams, self._options, start_seconds
            ),
        )
