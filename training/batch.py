"""What models, attacks and objectives receive: a batch of clips."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

MODALITIES = ("video", "audio")


@dataclass(frozen=True)
class Batch:
    """Clips of T segments; frames and log-mel patches lie in [0, 1], normalisation happens inside the model."""

    video: Float[Tensor, "batch segments 3 height width"]
    """Frame t: the picture on screen at the middle of segment t."""
    audio: Float[Tensor, "batch segments mels steps"]
    """Log-mel patch t covers exactly segment t."""
    labels: Int[Tensor, " batch"]
    keys: tuple[str, ...]
    """Names of the clips: per-clip randomness is keyed by them."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def num_segments(self) -> int:
        """Segments per clip."""
        return self.video.shape[1]

    def to(self, device: torch.device | str) -> Batch:
        """Move the tensors to `device`."""
        return replace(self, video=self.video.to(device), audio=self.audio.to(device), labels=self.labels.to(device))

    def with_streams(self, video: Tensor, audio: Tensor) -> Batch:
        """The same clips with other frames and log-mel patches."""
        return replace(self, video=video, audio=audio)

    def select_segments(self, index: Int[Tensor, "batch chosen"]) -> Batch:
        """Keep segments `index[clip]` of each clip, the same ones of both modalities."""
        return self.with_streams(gather_segments(self.video, index), gather_segments(self.audio, index))


def gather_segments(
    stream: Float[Tensor, "batch segments *shape"], index: Int[Tensor, "batch chosen"]
) -> Float[Tensor, "batch chosen *shape"]:
    """Pick segments `index[clip]` of each clip."""
    rows = torch.arange(len(stream), device=stream.device)[:, None]
    return stream[rows, index]
