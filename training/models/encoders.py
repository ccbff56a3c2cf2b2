"""Encoders: one frame or one log-mel patch -> one feature vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from jaxtyping import Float
from torch import Tensor, nn

from training.batch import Modality

EncoderName = Literal["alexnet", "resnet18", "tiny", "vgg11"]


@dataclass(frozen=True)
class EncoderSpec:
    """Names of an encoder's first and last layer, and the smallest input that it takes."""

    stem: str
    """Name of its first layer, the one that knows how many channels there are."""
    head: str
    """Name of its last layer, the one that knows how many features there are."""
    smallest: int
    """Least height and width of its input in pixels, mel bands or steps: below it nothing is left after its pools."""
    has_batch_norm: bool = False
    """True if it normalises by statistics of the batch."""


ENCODERS: dict[EncoderName, EncoderSpec] = {
    "alexnet": EncoderSpec(stem="features.0", head="classifier.6", smallest=63),
    "resnet18": EncoderSpec(stem="conv1", head="fc", smallest=8, has_batch_norm=True),
    "tiny": EncoderSpec(stem="layers.0", head="layers.8", smallest=8),
    "vgg11": EncoderSpec(stem="features.0", head="classifier.6", smallest=32),
}


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


def build_encoder(name: EncoderName, modality: Modality, feature_size: int) -> nn.Module:
    """A freshly initialised encoder for frames (3 channels) or log-mel patches (1 channel) with `feature_size` outputs.

    Beside `tiny` they are torchvision's: AlexNet in the one-tower form of Krizhevsky 2014 (arXiv:1404.5997), VGG-11
    without batch normalisation (Simonyan & Zisserman 2015, arXiv:1409.1556) and ResNet-18 (He et al. 2016,
    arXiv:1512.03385). Their own dropout, 0.5 in the heads of AlexNet and VGG-11, is off: a ratio that no setting names
    would lie below every step of the model-level curriculum, which drops features itself.
    """
    channels = 3 if modality == "video" else 1
    if name == "tiny":
        grid = (4, 4) if modality == "video" else (8, 1)
        return TinyEncoder(channels=channels, grid=grid, feature_size=feature_size)

    import torchvision  # takes 2 CPU seconds, which processes that need only `tiny` are spared

    options = {} if name == "resnet18" else {"dropout": 0.0}
    network: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=feature_size, **options)
    if modality == "audio":
        stem = ENCODERS[name].stem
        network.set_submodule(stem, _one_channel(cast(nn.Conv2d, network.get_submodule(stem))))
    return network


def _one_channel(stem: nn.Conv2d) -> nn.Conv2d:
    """The same layer, freshly initialised, for one channel."""
    return nn.Conv2d(
        1,
        stem.out_channels,
        kernel_size=cast(tuple[int, int], stem.kernel_size),
        stride=cast(tuple[int, int], stem.stride),
        padding=cast(tuple[int, int], stem.padding),
        bias=stem.bias is not None,
    )
