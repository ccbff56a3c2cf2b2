"""Fusion: the modalities' clip features -> class scores."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

FusionName = Literal["sum", "concat"]
ClipFeatures = Float[Tensor, "batch features"]


class SumFusion(nn.Module):
    """A linear classifier per modality, their scores added."""

    def __init__(self, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.video = nn.Linear(feature_size, num_classes)
        self.audio = nn.Linear(feature_size, num_classes)

    def forward(self, video: ClipFeatures, audio: ClipFeatures) -> Float[Tensor, "batch classes"]:
        """Score the clips."""
        scores: Tensor = self.video(video) + self.audio(audio)
        return scores


class ConcatFusion(nn.Module):
    """A two-layer classifier on the concatenated features."""

    def __init__(self, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * feature_size, feature_size), nn.GELU(), nn.Linear(feature_size, num_classes)
        )

    def forward(self, video: ClipFeatures, audio: ClipFeatures) -> Float[Tensor, "batch classes"]:
        """Score the clips."""
        scores: Tensor = self.layers(torch.cat([video, audio], dim=1))
        return scores


def build_fusion(name: FusionName, feature_size: int, num_classes: int) -> nn.Module:
    """A fusion of two feature vectors of `feature_size` into `num_classes` scores."""
    match name:
        case "sum":
            return SumFusion(feature_size, num_classes)
        case "concat":
            return ConcatFusion(feature_size, num_classes)
