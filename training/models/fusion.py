"""Fusion: the modalities' clip features -> class scores."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

FusionName = Literal["concat", "film", "gated", "sum"]
ClipFeatures = Float[Tensor, "batch features"]


class Fusion(nn.Module):
    """Base of the fusions."""

    heads: tuple[str, ...]
    """The layers that give a score per class, which other classes cannot use."""


class SumFusion(Fusion):
    """A linear classifier per modality, their scores added."""

    heads = ("video", "audio")

    def __init__(self, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.video = nn.Linear(feature_size, num_classes)
        self.audio = nn.Linear(feature_size, num_classes)

    def forward(self, video: ClipFeatures, audio: ClipFeatures) -> Float[Tensor, "batch classes"]:
        """Score the clips."""
        scores: Tensor = self.video(video) + self.audio(audio)
        return scores


class ConcatFusion(Fusion):
    """A two-layer classifier on the concatenated features."""

    heads = ("layers.2",)

    def __init__(self, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * feature_size, feature_size), nn.GELU(), nn.Linear(feature_size, num_classes)
        )

    def forward(self, video: ClipFeatures, audio: ClipFeatures) -> Float[Tensor, "batch classes"]:
        """Score the clips."""
        scores: Tensor = self.layers(torch.cat([video, audio], dim=1))
        return scores


class FilmFusion(Fusion):
    """A classifier of h = (1 + gamma(a)) v + beta(a): the audio scales and shifts the video features.

    Feature-wise linear modulation (Perez et al. 2018, arXiv:1709.07871, Eq. 1 and 2) with gamma and beta linear; the
    audio conditions, as the question does there. What is learnt of the scale is its distance from 1, so video without
    audio passes as it is, but for the biases; audio without video acts through the shift.
    """

    heads = ("classes",)

    def __init__(self, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(feature_size, 2 * feature_size)
        self.classes = nn.Linear(feature_size, num_classes)

    def forward(self, video: ClipFeatures, audio: ClipFeatures) -> Float[Tensor, "batch classes"]:
        """Score the clips."""
        scale, shift = self.modulation(audio).chunk(2, dim=1)
        scores: Tensor = self.classes((1 + scale) * video + shift)
        return scores


class GatedFusion(Fusion):
    """A classifier of h = z tanh(V v) + (1 - z) tanh(A a): a gate z weighs the modalities, feature by feature.

    The bimodal gated multimodal unit (Arevalo et al. 2017, arXiv:1702.01992, Section 3.1): z = sigmoid(Z [v, a]), no
    biases, so that a modality whose features are zero adds nothing to h and moves the gate towards the middle.
    """

    heads = ("classes",)

    def __init__(self, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.video = nn.Linear(feature_size, feature_size, bias=False)
        self.audio = nn.Linear(feature_size, feature_size, bias=False)
        self.gate = nn.Linear(2 * feature_size, feature_size, bias=False)
        self.classes = nn.Linear(feature_size, num_classes)

    def forward(self, video: ClipFeatures, audio: ClipFeatures) -> Float[Tensor, "batch classes"]:
        """Score the clips."""
        gate = self.gate(torch.cat([video, audio], dim=1)).sigmoid()
        heard = gate * self.video(video).tanh() + (1 - gate) * self.audio(audio).tanh()
        scores: Tensor = self.classes(heard)
        return scores


def build_fusion(name: FusionName, feature_size: int, num_classes: int) -> Fusion:
    """A fusion of two feature vectors of `feature_size` into `num_classes` scores."""
    match name:
        case "concat":
            return ConcatFusion(feature_size, num_classes)
        case "film":
            return FilmFusion(feature_size, num_classes)
        case "gated":
            return GatedFusion(feature_size, num_classes)
        case "sum":
            return SumFusion(feature_size, num_classes)
