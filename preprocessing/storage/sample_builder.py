"""A decoded clip -> the files of one stored sample."""

from __future__ import annotations

import io
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from preprocessing.decoding.parent import EncodedClip
from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat, ClipRecord, member_names


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
        self._format = clip_format
        self._logmel = LogMel(clip_format)

    def build(self, labelled: LabelledClip, clip: EncodedClip) -> dict[str, bytes]:
        """The members of a sample by their name after the key, in the order in which they are stored."""
        patches = self.logmel_patches(clip)
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
        return dict(zip(member_names(self._format.num_segments), files, strict=True))

    def logmel_patches(self, clip: EncodedClip) -> NDArray[np.float16]:
        """Log-mel patches `[segments, mels, steps]` of exactly the stored samples, segment by segment."""
        segments = clip.samples.reshape(self._format.num_segments, -1).astype(np.float32) / 32768.0
        with torch.inference_mode():
            patches: Tensor = self._logmel(torch.from_numpy(segments)).to(torch.float16)
        return cast(NDArray[np.float16], patches.numpy())


def npy(array: NDArray[np.float16]) -> bytes:
    """An array as a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
