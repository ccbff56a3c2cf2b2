"""A decoded clip -> the files of one stored sample."""

from __future__ import annotations

import io
from typing import Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from preprocessing.decoding.parent import EncodedClip
from preprocessing.schema import ClipFormat, ClipRecord
from preprocessing.storage.members import member_names


@runtime_checkable
class LabelledClip(Protocol):
    """A clip's key, its label, and the video it comes from, as a plan has them."""

    @property
    def key(self) -> str:
        """Name of the sample, unique in its data set."""

    @property
    def label(self) -> int:
        """Index of the class."""

    @property
    def class_name(self) -> str:
        """Name of the class."""

    @property
    def source(self) -> str:
        """Path of the video relative to the data set's roots."""


class SampleBuilder:
    """Builds samples of one clip format; its log-mel filters are made once."""

    def __init__(self, clip_format: ClipFormat) -> None:
        from preprocessing.logmel import LogMel  # loads torch, which takes seconds that other users of this file spare

        self._format = clip_format
        self._logmel = LogMel(clip_format)

    def build(self, labelled: LabelledClip, clip: EncodedClip) -> dict[str, bytes]:
        """The members of a sample by their name after the key, in the order in which they are stored."""
        return members_of(labelled, clip, self.logmel_patches(clip))

    def logmel_patches(self, clip: EncodedClip) -> NDArray[np.float16]:
        """Log-mel patches `[segments, mels, steps]` of exactly the stored samples, segment by segment."""
        import torch

        with torch.inference_mode():
            waveform = torch.from_numpy(segments_of(clip, self._format))
            return cast(NDArray[np.float16], self._logmel(waveform).to(torch.float16).numpy())


def segments_of(clip: EncodedClip, clip_format: ClipFormat) -> NDArray[np.float32]:
    """The stored samples in [-1, 1] by segment: `[segments, samples]`."""
    return clip.samples.reshape(clip_format.num_segments, -1).astype(np.float32) / 32768.0


def members_of(labelled: LabelledClip, clip: EncodedClip, patches: NDArray[np.float16]) -> dict[str, bytes]:
    """The members of a sample with these log-mel patches `[segments, mels, steps]`."""
    record = ClipRecord(
        key=labelled.key,
        label=labelled.label,
        class_name=labelled.class_name,
        source=labelled.source,
        source_sha256=clip.source_sha256,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
        frame_seconds=clip.frame_seconds,
        video_coverage=clip.video_coverage,
        audio_coverage=clip.audio_coverage,
        missing_frames=clip.missing_frames,
        decode_errors=clip.decode_errors,
        saturation_share=np.count_nonzero(patches >= 1.0) / patches.size,
        tracks=clip.tracks,
    )
    files = (clip.flac, *clip.jpegs, record.model_dump_json(exclude_none=True).encode(), npy(patches))
    return dict(zip(member_names(len(patches)), files, strict=True))


def npy(array: NDArray[np.float16]) -> bytes:
    """An array as a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
