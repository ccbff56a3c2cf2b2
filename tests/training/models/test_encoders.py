from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from training.batch import MODALITIES, Modality
from training.models.encoders import ENCODERS, EncoderName, build_encoder

HEAVY = ("alexnet", "vgg11")  # 57 and 129 million weights


@pytest.mark.parametrize("name", get_args(EncoderName))
@pytest.mark.parametrize("modality", MODALITIES)
def test_encoders_take_any_size_from_their_smallest_and_give_one_vector_per_item(
    name: EncoderName, modality: Modality
) -> None:
    """Shapes alone, without numbers: the two heaviest have heads that take seconds to fill."""
    channels, smallest = 3 if modality == "video" else 1, ENCODERS[name].smallest
    with torch.device("meta"):
        encoder = build_encoder(name, modality, feature_size=10)
        for height, width in ((smallest, smallest), (smallest, 100), (128, 99)):
            assert encoder(torch.rand(2, channels, height, width)).shape == (2, 10)


@pytest.mark.parametrize("name", HEAVY)
def test_the_smallest_input_is_the_smallest(name: EncoderName) -> None:
    smallest = ENCODERS[name].smallest
    with torch.device("meta"):
        encoder = build_encoder(name, "audio", feature_size=10)
        with pytest.raises(RuntimeError, match="Output size is too small"):
            encoder(torch.rand(2, 1, smallest - 1, 100))


@pytest.mark.parametrize("name", get_args(EncoderName))
def test_the_named_stem_and_head_know_channels_and_features(name: EncoderName) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name, "audio", feature_size=10)
    assert encoder.get_parameter(f"{ENCODERS[name].stem}.weight").shape[1] == 1
    assert encoder.get_parameter(f"{ENCODERS[name].head}.weight").shape[0] == 10


@pytest.mark.parametrize("name", HEAVY)
def test_no_encoder_drops_units_on_its_own(name: EncoderName) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name, "video", feature_size=10)
    ratios = [module.p for module in encoder.modules() if isinstance(module, torch.nn.Dropout)]
    assert ratios == [0.0, 0.0]


def test_the_tiny_audio_encoder_tells_low_from_high() -> None:
    """Pitch is a place along the mel axis: it must not be averaged away."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder("tiny", "audio", feature_size=10)
    low, high = torch.zeros(2, 1, 1, 64, 50)
    low[..., 8:12, :] = 1.0
    high[..., 48:52, :] = 1.0
    assert (encoder(low) - encoder(high)).abs().max() > 0.01


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_says_whether_it_normalises_by_the_batch(name: EncoderName) -> None:
    with torch.device("meta"):
        layers = build_encoder(name, "video", feature_size=10).modules()
    assert any(isinstance(layer, _BatchNorm) for layer in layers) == ENCODERS[name].has_batch_norm
