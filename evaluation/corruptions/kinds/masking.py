"""Segments that are lost: black frames and silence, in the same segments of both modalities or each in its own."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int

from evaluation.corruptions.kinds.base import Clip, Corruption, Group, Severity, at
from evaluation.corruptions.kinds.published import MASKED_SHARE, Levels
from evaluation.corruptions.materials.draws import Draws
from evaluation.corruptions.materials.mixing import Wave
from evaluation.corruptions.materials.recordings import Recordings
from evaluation.corruptions.materials.textures import Frames


class SegmentMasking(Corruption):
    """A share of the segments blanked, whichever they are; a larger share blanks the same ones and more.

    A segment of the sound is its share of the samples: where these do not divide, segments differ by one.
    """

    group: ClassVar[Group] = "masking"
    share: Levels = MASKED_SHARE
    """Share of the segments that are blanked, rounded to whole ones; all of them never are."""

    def corrupt_video(self, clip: Clip, severity: Severity, draws: Draws) -> Frames:
        """The frames, the lost ones black."""
        video = clip.video.copy()
        video[self.lost(clip, severity, draws.random("segments"))] = 0.0
        return video

    def corrupt_sound(self, clip: Clip, severity: Severity, draws: Draws, recordings: Recordings | None) -> Wave:
        """The waveform, silent in the lost segments."""
        waveform = clip.waveform.copy()
        pieces = np.array_split(waveform, len(clip.video))
        for segment in self.lost(clip, severity, self.sound_draws(draws)):
            pieces[segment][:] = 0.0
        return waveform

    def sound_draws(self, draws: Draws) -> np.random.Generator:
        """The stream that chooses the segments of the sound."""
        return draws.random("segments")

    def lost(self, clip: Clip, severity: Severity, random: np.random.Generator) -> Int[np.ndarray, " lost"]:
        """The segments that are blanked."""
        num_segments = len(clip.video)
        number = min(round(at(self.share, severity) * num_segments), num_segments - 1)
        return random.permutation(num_segments)[:number]


class SynchronousMasking(SegmentMasking):
    """Both modalities lose the same segments, as when a stream drops out."""

    name: Literal["synchronous_masking"] = "synchronous_masking"


class AsynchronousMasking(SegmentMasking):
    """Each modality loses its own segments, as many of one as of the other."""

    name: Literal["asynchronous_masking"] = "asynchronous_masking"

    def sound_draws(self, draws: Draws) -> np.random.Generator:
        """A stream of the sound's own."""
        return draws.random("segments of the sound")
