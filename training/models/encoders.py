"""Encoders: one frame or one log-mel patch -> one feature vector."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

EncoderName = Literal["tiny", "resnet18"]


class TinyEncoder(nn.Module):
    """Two strided convolutions and a linear layer, so that demo and tests run on two processor cores.

    `grid` is what is left of height and width before the linear layer: rows and columns for frames, mel bands (and no
    time) for log-mel patches.
    """

    def __init__(self, *, channels: int, grid: tuple[int, int], feature_size: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=4, stride=4),
            nn.GroupNorm(4, width),
            nn.GELU(),
            nn.Conv2d(width, 2 * width, kernel_size=3, stride=2, padding=1),
            nn.GroupNorm(4, 2 * width),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(grid),
            nn.Flatten(),
            nn.Linear(2 * width * grid[0] * grid[1], feature_size),
        )

    def forward(self, stream: Float[Tensor, "items channels height width"]) -> Float[Tensor, "items features"]:
        """Encode normalised frames or patches."""
        features: Tensor = self.layers(stream)
        return features


def build_encoder(name: EncoderName, modality: Literal["video", "audio"], feature_size: int) -> nn.Module:
    """An encoder for frames (3 channels) or log-mel patches (1 channel) with `feature_size` outputs.

    `resnet18` is torchvision's (He et al. 2016, arXiv:1512.03385), from scratch, with a one-channel stem for sound.
    """
    channels = 3 if modality == "video" else 1
    match name:
        case "tiny":
            grid = (4, 4) if modality == "video" else (8, 1)
            return TinyEncoder(channels=channels, grid=grid, feature_size=feature_size)
        case "resnet18":
            import torchvision  # takes 2 CPU seconds, which processes that need only `tiny` are spared

            network: nn.Module = torchvision.models.resnet18(weights=None, num_classes=feature_size)
            if modality == "audio":
                network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
            return network
