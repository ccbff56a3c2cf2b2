"""A batch of clips, as models, attacks and objectives receive it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

Modality = Literal["video", "audio"]
MODALITIES: tuple[Modality, Modality] = ("video", "audio")


@dataclass(frozen=True)
class Batch:
    """Clips of T segments; frames and log-mel patches lie in [0, 1], normalisation happens inside the model."""

    video: Float[Tensor, "batch segments 3 height width"]
    """Frame t: the picture on screen at the middle of segment t."""
    audio: Float[Tensor, "batch segments *patch"]
    """The sound of exactly segment t: a log-mel patch, `[mels, steps]`, or its waveform in [-1, 1], `[samples]`."""
    labels: Int[Tensor, " batch"]
    keys: tuple[str, ...]
    """Names of the clips: per-clip randomness is keyed by them."""
    targets: Int[Tensor, " batch"] | None = None
    """Class that a targeted attack wants the model to name; unset = any but the label."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def num_segments(self) -> int:
        """Segments per clip."""
        return self.video.shape[1]

    @property
    def has_waveform(self) -> bool:
        """True if the sound is a waveform and not log-mel patches."""
        return self.audio.dim() == 3

    def stream(self, modality: Modality) -> Tensor:
        """The frames or the sound."""
        return self.video if modality == "video" else self.audio

    def to(self, device: torch.device | str) -> Batch:
        """Move the tensors to `device`."""
        targets = None if self.targets is None else self.targets.to(device)
        return replace(
            self,
            video=self.video.to(device),
            audio=self.audio.to(device),
            labels=self.labels.to(device),
            targets=targets,
        )

    def with_streams(self, video: Tensor, audio: Tensor) -> Batch:
        """The same clips with other frames and other sound."""
        return replace(self, video=video, audio=audio)

    def with_targets(self, targets: Int[Tensor, " batch"] | None) -> Batch:
        """The same clips with other classes to be mistaken for."""
        return replace(self, targets=targets)

    def select(self, rows: Int[Tensor, " chosen"]) -> Batch:
        """The clips at these positions."""
        return Batch(
            video=self.video[rows],
            audio=self.audio[rows],
            labels=self.labels[rows],
            keys=tuple(self.keys[row] for row in rows.tolist()),
            targets=None if self.targets is None else self.targets[rows],
        )

    def select_segments(self, index: Int[Tensor, "batch chosen"]) -> Batch:
        """Keep segments `index[clip]` of each clip, the same ones of both modalities."""
        return self.with_streams(gather_segments(self.video, index), gather_segments(self.audio, index))


def gather_segments(
    stream: Float[Tensor, "batch segments *shape"], index: Int[Tensor, "batch chosen"]
) -> Float[Tensor, "batch chosen *shape"]:
    """Pick segments `index[clip]` of each clip."""
    rows = torch.arange(len(stream), device=stream.device)[:, None]
    return stream[rows, index]


def per_clip(values: Shaped[Tensor, " batch"], like: Float[Tensor, "batch *shape"]) -> Tensor:
    """Shape one value per clip so that it broadcasts over the clip."""
    return values.reshape(-1, *([1] * (like.dim() - 1)))
