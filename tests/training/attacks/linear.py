"""A linear classifier, whose worst perturbation is known in closed form."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from training.batch import Batch
from training.models import Outputs


class LinearClassifier(nn.Module):
    """Two classes with logits (s, -s), s = <w_v, video> + <w_a, audio>."""

    def __init__(self) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(2)
        self.video = nn.Parameter(0.02 * torch.randn(4 * 3 * 16 * 16, generator=source))
        self.audio = nn.Parameter(0.02 * torch.randn(4 * 16 * 16, generator=source))

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        """Score clips; features are the per-segment products."""
        products = [
            (stream.flatten(1) * weight).reshape(len(stream), stream.shape[1], -1)
            for stream, weight in ((video, self.video), (audio, self.audio))
        ]
        video_score, audio_score = (product.sum((1, 2)) for product in products)
        score = video_score + audio_score
        features = [product.reshape(*product.shape[:2], 16, -1).sum(3) for product in products]
        return Outputs(
            logits=torch.stack([score, -score], 1),
            video_features=features[0],
            audio_features=features[1],
            video_logits=torch.stack([video_score, -video_score], 1),
            audio_logits=torch.stack([audio_score, -audio_score], 1),
        )


def interior(clips: Batch) -> Batch:
    """The clips so far from 0 and 1 that the box never binds, all of class 0."""
    squeezed = clips.with_streams(clips.video / 2 + 0.25, clips.audio / 2 + 0.25)
    return replace(squeezed, labels=torch.zeros_like(clips.labels), targets=None)
