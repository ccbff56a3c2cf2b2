"""The same clips at other moments: what is changed at those of an attacker, as a model meets it that looks elsewhere.

A changed frame is on screen, and a changed column of the log-mel or sample of the waveform is heard, for as long as it
stands for: a segment, a hop, a sample. Whoever looks at the video at other moments meets what is there then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from training.batch import MODALITIES, Batch, Modality, gather_segments, per_clip
from training.norms import Norm
from training.threat import ThreatModel

TIE = 1e-6
"""Of a frame, column or sample: at less before its end the next one has begun, whatever the rounding of times."""
ROUNDING = 1e-6
"""The fraction of a budget by which a length exceeds it by rounding alone."""


@dataclass(frozen=True)
class OtherMoments:
    """Untouched clips at the moments of a model, and where these lie in the time of the clips that are attacked."""

    video: Float[Tensor, "batch segments 3 height width"]
    """The frames that the model looks at, in [0, 1]."""
    audio: Float[Tensor, "batch segments *patch"]
    """The sound that it hears, in the form and range of the attacked clips'."""
    delay: Float[Tensor, " one_per_clip"]
    """Time from the start of the attacked clip's first segment to that of the model's, in segments of the attacked
    clip: 0.5 = half a segment later, -1 = a whole one earlier."""
    segment_length: float | int = 1.0
    """Length of a segment of the model's, in segments of the attacked clip."""

    def untouched(self, attacked: Batch) -> Batch:
        """The clips at the model's moments, with the names and classes of the attacked ones."""
        return attacked.with_streams(self.video, self.audio)

    def to(self, device: torch.device | str) -> OtherMoments:
        """Move the tensors to `device`."""
        return replace(self, video=self.video.to(device), audio=self.audio.to(device), delay=self.delay.to(device))

    def select(self, rows: Int[Tensor, " chosen"]) -> OtherMoments:
        """The clips at these positions."""
        return replace(self, video=self.video[rows], audio=self.audio[rows], delay=self.delay[rows])

    def carried(self, perturbed: Batch, clean: Batch, threat: ThreatModel) -> Batch:
        """The model's clips with the change from `clean` to `perturbed`, in the ball around themselves and in the box.

        Beyond both ends of the attacked clip its nearest segment goes on, at the same phase. A modality without a
        budget stays as it is, bit for bit. Where a value of the two untouched clips is the same, so is the perturbed
        one: with a delay of 0 and the same segments the result is `perturbed` itself.

        Args:
            perturbed: clips at the moments of the attack, inside `threat`.
            clean: the same untouched.
            threat: its budgets hold here too; its segments are those of `perturbed`.
        """
        streams = {name: self._carried_stream(name, perturbed, clean, threat) for name in MODALITIES}
        return self.untouched(perturbed).with_streams(**streams)

    def _carried_stream(self, modality: Modality, perturbed: Batch, clean: Batch, threat: ThreatModel) -> Tensor:
        there = self.video if modality == "video" else self.audio
        epsilon = threat.epsilon(modality)
        if epsilon == 0:
            return there
        changed, before = (self._at_these_moments(clips.stream(modality), like=there) for clips in (perturbed, clean))
        moved = torch.where(before == there, changed, there + (changed - before))
        return _inside(threat.geometry, moved, there, epsilon).clamp(*threat.box(modality))

    def _at_these_moments(
        self, stream: Float[Tensor, "batch segments *shape"], *, like: Float[Tensor, "batch others *form"]
    ) -> Float[Tensor, "batch others *form"]:
        """The values of `stream` that are on screen, or heard, at every moment of `like`."""
        values, others = _in_time(stream), _in_time(like)
        index = moments_in(
            self.delay,
            num_segments=stream.shape[1],
            values_per_segment=values.shape[1] // stream.shape[1],
            num_others=like.shape[1],
            values_per_other=others.shape[1] // like.shape[1],
            segment_length=self.segment_length,
        )
        return _in_segments(gather_segments(values, index), like)


def moments_in(
    delay: Float[Tensor, " batch"],
    *,
    num_segments: int,
    values_per_segment: int,
    num_others: int,
    values_per_other: int,
    segment_length: float | int = 1.0,
) -> Int[Tensor, "batch values"]:
    """For the middle of every value in time of one clip, the number of the value that lasts through it in the other.

    Args:
        delay: start of the first clip, in segments of the other.
        num_segments: segments of the other.
        values_per_segment: its values in a segment: 1 of frames, the columns of a patch, or samples.
        num_others: segments of the first.
        values_per_other: its values in a segment.
        segment_length: length of its segments, in segments of the other.
    """
    values = torch.arange(num_others * values_per_other, dtype=torch.float64, device=delay.device)
    middles = (values + 0.5) / values_per_other * segment_length + delay.double()[:, None]
    number = (middles * values_per_segment + TIE).floor().long()
    segment = number.div(values_per_segment, rounding_mode="floor").clamp(0, num_segments - 1)
    return segment * values_per_segment + number.remainder(values_per_segment)


def _inside(norm: Norm, moved: Tensor, clean: Tensor, epsilon: float) -> Tensor:
    """The nearest clips in the ball; those that are in it but for rounding stay as they are."""
    if norm.is_per_value:
        return norm.project(moved, clean, epsilon)
    is_inside = norm.length(moved - clean) <= epsilon * (1 + ROUNDING)
    return torch.where(per_clip(is_inside, moved), moved, norm.project(moved, clean, epsilon))


def _in_time(stream: Float[Tensor, "batch segments *shape"]) -> Float[Tensor, "batch values *rest"]:
    """A clip's values one after the other in time: frames, the columns of its log-mel patches, or samples."""
    match stream.dim():
        case 3:
            return stream.flatten(1, 2)
        case 4:
            return stream.transpose(2, 3).flatten(1, 2)
        case _:
            return stream


def _in_segments(
    values: Float[Tensor, "batch values *rest"], like: Float[Tensor, "batch segments *shape"]
) -> Float[Tensor, "batch segments *shape"]:
    """Values in time, in segments as those of `like`."""
    if like.dim() > 4:
        return values
    segments = values.reshape(len(values), like.shape[1], -1, *values.shape[2:])
    return segments.transpose(2, 3) if like.dim() == 4 else segments
