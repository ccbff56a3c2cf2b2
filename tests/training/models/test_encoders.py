from __future__ import annotations

import pytest
import torch

from training.models.encoders import build_encoder


@pytest.mark.parametrize("name", ["tiny", "resnet18"])
@pytest.mark.parametrize(
    ("modality", "shape"), [("video", (3, 32, 32)), ("video", (3, 50, 41)), ("audio", (1, 64, 50))]
)
def test_encoders_take_any_size_and_give_one_vector_per_item(
    name: str, modality: str, shape: tuple[int, int, int]
) -> None:
    encoder = build_encoder(name, modality, feature_size=10)  # type: ignore[arg-type]
    assert encoder(torch.rand(2, *shape)).shape == (2, 10)


def test_the_tiny_audio_encoder_tells_low_from_high() -> None:
    """Pitch is a place along the mel axis: it must not be averaged away."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder("tiny", "audio", feature_size=10)
    low, high = torch.zeros(2, 1, 1, 64, 50)
    low[..., 8:12, :] = 1.0
    high[..., 48:52, :] = 1.0
    assert (encoder(low) - encoder(high)).abs().max() > 0.01
