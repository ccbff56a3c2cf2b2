"""Small classifiers that see differently: in their encoders, in how they treat time, and in how they fuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.models import Outputs

ArchitectureName = Literal["plain", "temporal", "conv3d", "vgg", "resnet"]
FEATURES = 64
MEAN, STD = 0.4, 0.25  # about those of the clips, so that first layers see numbers around 0

Clip = Float[Tensor, "batch features"]


def build(name: ArchitectureName, num_classes: int) -> SmallClassifier:
    """A classifier of that name with fresh weights."""
    match name:
        case "plain":
            return SmallClassifier(_plain(3), _plain(1), _mean, Concatenated(num_classes))
        case "temporal":
            return SmallClassifier(_normalised(3), _normalised(1), TemporalConvolution(), Concatenated(num_classes))
        case "conv3d":
            return SmallClassifier(Frames3d(), Spectrogram(), _mean, Gated(num_classes))
        case "vgg":
            return SmallClassifier(_vgg(3), _vgg(1), _largest, Summed(num_classes))
        case "resnet":
            return SmallClassifier(_resnet(3), _resnet(1), _mean, Linear(num_classes))


class SmallClassifier(nn.Module):
    """Features of each segment, pooled over time, fused."""

    def __init__(
        self,
        video_encoder: nn.Module,
        audio_encoder: nn.Module,
        pooled: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        fusion: nn.Module,
    ) -> None:
        super().__init__()
        self.video_encoder, self.audio_encoder = video_encoder, audio_encoder
        self.pooled, self.fusion = pooled, fusion

    def forward(
        self,
        video: Float[Tensor, "batch segments 3 height width"],
        audio: Float[Tensor, "batch segments mels steps"],
    ) -> Outputs:
        """Scores, and the features that they come from."""
        video_features = self.video_encoder((video - MEAN) / STD)
        audio_features = self.audio_encoder((audio[:, :, None] - MEAN) / STD)
        logits = self.fusion(*self.pooled(video_features, audio_features))
        return Outputs(logits=logits, video_features=video_features, audio_features=audio_features)


class PerSegment(nn.Module):
    """An encoder of single frames or patches, with what makes one value of each of its maps."""

    def __init__(self, *layers: nn.Module, largest: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.largest = largest

    def forward(self, stream: Float[Tensor, "batch segments channels height width"]) -> Tensor:
        """Features, `[batch, segments, features]`."""
        maps = self.layers(stream.flatten(0, 1))
        pooled: Tensor = maps.amax((2, 3)) if self.largest else maps.mean((2, 3))
        return pooled.reshape(*stream.shape[:2], -1)


class Frames3d(nn.Module):
    """Convolutions over time and space together."""

    def __init__(self) -> None:
        super().__init__()
        sizes = ((3, 16), (16, 32), (32, FEATURES))
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv3d(before, after, 3, stride=(1, 2, 2), padding=1), nn.BatchNorm3d(after), nn.ReLU()
                )
                for before, after in sizes
            )
        )

    def forward(self, stream: Float[Tensor, "batch segments 3 height width"]) -> Tensor:
        """Features, `[batch, segments, features]`."""
        maps: Tensor = self.layers(stream.transpose(1, 2))
        return maps.mean((3, 4)).transpose(1, 2)


class Spectrogram(nn.Module):
    """Convolutions over the patches of all segments side by side, as one picture."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(1, 16), _conv(16, 32), _conv(32, FEATURES))

    def forward(self, stream: Float[Tensor, "batch segments 1 mels steps"]) -> Tensor:
        """Features, `[batch, segments, features]`."""
        maps: Tensor = self.layers(stream.permute(0, 2, 3, 1, 4).flatten(3))
        return functional.adaptive_avg_pool1d(maps.mean(2), stream.shape[1]).transpose(1, 2)


class TemporalConvolution(nn.Module):
    """Two convolutions over each modality's segments, and the largest value."""

    def __init__(self) -> None:
        super().__init__()
        self.video, self.audio = (
            nn.Sequential(
                nn.Conv1d(FEATURES, FEATURES, 3, padding=1),
                nn.ReLU(),
                nn.Conv1d(FEATURES, FEATURES, 3, padding=1),
                nn.ReLU(),
            )
            for _ in range(2)
        )

    def forward(self, video: Tensor, audio: Tensor) -> tuple[Clip, Clip]:
        """One vector per clip and modality."""
        return self.video(video.transpose(1, 2)).amax(2), self.audio(audio.transpose(1, 2)).amax(2)


class Concatenated(nn.Module):
    """A hidden layer over both modalities."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * FEATURES, FEATURES), nn.ReLU(), nn.Dropout(0.2), nn.Linear(FEATURES, num_classes)
        )

    def forward(self, video: Clip, audio: Clip) -> Tensor:
        """Scores."""
        scores: Tensor = self.layers(torch.cat([video, audio], 1))
        return scores


class Linear(nn.Module):
    """One layer over both modalities."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(2 * FEATURES, num_classes)

    def forward(self, video: Clip, audio: Clip) -> Tensor:
        """Scores."""
        scores: Tensor = self.layer(torch.cat([video, audio], 1))
        return scores


class Summed(nn.Module):
    """Each modality's own scores, added."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.video, self.audio = nn.Linear(FEATURES, num_classes), nn.Linear(FEATURES, num_classes)

    def forward(self, video: Clip, audio: Clip) -> Tensor:
        """Scores."""
        scores: Tensor = self.video(video) + self.audio(audio)
        return scores


class Gated(nn.Module):
    """Both modalities mixed by weights that they decide together."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * FEATURES, FEATURES)
        self.video, self.audio = nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES, FEATURES)
        self.scores = nn.Linear(FEATURES, num_classes)

    def forward(self, video: Clip, audio: Clip) -> Tensor:
        """Scores."""
        gate = torch.sigmoid(self.gate(torch.cat([video, audio], 1)))
        scores: Tensor = self.scores(torch.relu(gate * self.video(video) + (1 - gate) * self.audio(audio)))
        return scores


class Residual(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(before, after, stride=stride)
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after))
        self.shortcut = (
            nn.Identity()
            if before == after and stride == 1
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, maps: Tensor) -> Tensor:
        """The maps after it."""
        return torch.relu(self.second(self.first(maps)) + self.shortcut(maps))


def _conv(before: int, after: int, *, stride: int = 2) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def _plain(channels: int) -> nn.Module:
    """Three strided convolutions without normalisation."""
    return PerSegment(
        nn.Conv2d(channels, 24, 5, 2, padding=2),
        nn.ReLU(),
        nn.Conv2d(24, 40, 3, 2, padding=1),
        nn.ReLU(),
        nn.Conv2d(40, FEATURES, 3, 2, padding=1),
        nn.ReLU(),
    )


def _normalised(channels: int) -> nn.Module:
    """Three strided convolutions with batch normalisation."""
    return PerSegment(_conv(channels, 24), _conv(24, 40), _conv(40, FEATURES))


def _vgg(channels: int) -> nn.Module:
    """Small filters and pooling, without normalisation."""
    layers: list[nn.Module] = []
    for before, after, is_pooled in ((channels, 12, True), (12, 24, True), (24, 32, False), (32, FEATURES, True)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()] + [nn.MaxPool2d(2)] * is_pooled
    return PerSegment(*layers, largest=True)


def _resnet(channels: int) -> nn.Module:
    """Residual blocks with batch normalisation."""
    return PerSegment(_conv(channels, 16), Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, FEATURES, 2))


def _mean(video: Tensor, audio: Tensor) -> tuple[Clip, Clip]:
    return video.mean(1), audio.mean(1)


def _largest(video: Tensor, audio: Tensor) -> tuple[Clip, Clip]:
    return video.amax(1), audio.amax(1)
