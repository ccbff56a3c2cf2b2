"""Two modalities as one picture, so that a library for pictures can attack our models with the same budgets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.batch import MODALITIES, Batch, Modality
from training.threat import ThreatModel


class Packed(nn.Module):
    """Takes `[batch, 1, 1, values]`, every modality in units in which its epsilon is the same, and returns logits.

    u_m = (x_m - low_m) e / epsilon_m with e the smallest epsilon: a ball of radius e around u is the threat's ball, for
    any sub-batch. u leaves [0, 1] only where x leaves its box, so clips must lie epsilon inside it.
    """

    def __init__(self, model: nn.Module, threat: ThreatModel, like: Batch) -> None:
        super().__init__()
        self.model = model
        self.epsilon = min(threat.epsilon(name) for name in MODALITIES)
        self._scales: dict[Modality, float] = {name: self.epsilon / threat.epsilon(name) for name in MODALITIES}
        self._lows: dict[Modality, float] = {name: threat.box(name)[0] for name in MODALITIES}
        self._shapes = {name: like.stream(name).shape[1:] for name in MODALITIES}

    def forward(self, packed: Tensor) -> Tensor:
        """Logits of packed clips."""
        clips = self.unpack(packed)
        logits: Tensor = self.model(clips["video"], clips["audio"]).logits
        return logits

    def pack(self, batch: Batch) -> Tensor:
        """Clips as pictures of one row."""
        parts = [(batch.stream(name) - self._lows[name]).flatten(1) * self._scales[name] for name in MODALITIES]
        return torch.cat(parts, dim=1)[:, None, None]

    def unpack(self, packed: Tensor) -> dict[Modality, Tensor]:
        """The streams in a picture."""
        sizes = [shape.numel() for shape in self._shapes.values()]
        parts = torch.split(packed.flatten(1), sizes, dim=1)
        return {
            name: part.reshape(-1, *self._shapes[name]) / self._scales[name] + self._lows[name]
            for name, part in zip(MODALITIES, parts, strict=True)
        }
