from __future__ import annotations

from typing import get_args

import pytest
import torch

from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat
from training.batch import Batch
from training.models import Classifier, ModelConfig
from training.models.encoders import EncoderName
from training.models.fusion import FusionName


@pytest.mark.parametrize("encoder", get_args(EncoderName))
@pytest.mark.parametrize("fusion", get_args(FusionName))
def test_every_encoder_and_fusion_build_and_keep_the_promised_shapes(encoder: str, fusion: str) -> None:
    """Shapes alone, without numbers: the two heaviest encoders have 57 and 129 million weights."""
    config = ModelConfig.model_validate(
        {"video_encoder": encoder, "audio_encoder": encoder, "fusion": fusion, "feature_size": 12}
    )
    clip_format = ClipFormat(num_segments=2, segment_seconds=0.64, frame_size=64, num_mels=64)
    with torch.device("meta"):
        outputs = config.build(clip_format, num_classes=5)(torch.rand(3, 2, 3, 64, 64), torch.rand(3, 2, 64, 64))
    assert outputs.logits.shape == outputs.video_logits.shape == outputs.audio_logits.shape == (3, 5)
    assert outputs.video_features.shape == outputs.audio_features.shape == (3, 2, 12)


@pytest.mark.parametrize("fusion", get_args(FusionName))
@pytest.mark.parametrize(
    "encoder",
    [
        "tiny",
        "resnet18",
        pytest.param("alexnet", marks=pytest.mark.slow),
        pytest.param("vgg11", marks=pytest.mark.slow),
    ],
)
def test_gradients_reach_both_inputs_and_every_weight(encoder: str, fusion: str) -> None:
    config = ModelConfig.model_validate(
        {"video_encoder": encoder, "audio_encoder": encoder, "fusion": fusion, "feature_size": 12}
    )
    size = 64 if encoder == "alexnet" else 32
    clip_format = ClipFormat(num_segments=2, segment_seconds=size / 100, frame_size=size, num_mels=size)
    classifier = config.build(clip_format, num_classes=5)
    video, audio = torch.rand(3, 2, 3, size, size, requires_grad=True), torch.rand(3, 2, size, size, requires_grad=True)
    classifier(video, audio).logits.square().sum().backward()
    for stream in (video, audio):
        assert stream.grad is not None
        assert (stream.grad.flatten(1).abs().amax(1) > 0).all()
    assert all(parameter.grad is not None for parameter in classifier.parameters()), "a parameter is unused"


def test_logits_of_one_modality_ignore_the_other(model: Classifier, batch: Batch) -> None:
    outputs, other = model(batch.video, batch.audio), model(batch.video, 1 - batch.audio)
    assert torch.equal(outputs.video_logits, other.video_logits)
    assert not torch.equal(outputs.audio_logits, other.audio_logits)


def test_clips_may_have_any_number_of_segments(model: Classifier, batch: Batch) -> None:
    index = torch.tensor([[1]] * len(batch))
    assert model(*(getattr(batch.select_segments(index), name) for name in ("video", "audio"))).logits.shape == (7, 4)


def test_inputs_are_normalised_inside(model: Classifier) -> None:
    """Mean-coloured frames and mid-level patches reach the encoders as zeros, which biases alone then decide."""
    seen: list[torch.Tensor] = []
    for encoder in (model.video_encoder, model.audio_encoder):
        encoder.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    video = torch.tensor([0.485, 0.456, 0.406]).view(1, 1, 3, 1, 1).expand(1, 4, 3, 16, 16)
    model(video, torch.full((1, 4, 16, 16), 0.5))
    assert all(stream.abs().max() < 1e-6 for stream in seen)


def test_dropout_acts_in_training_mode_only(model: Classifier, batch: Batch) -> None:
    model.set_dropout(0.5)
    model.eval()
    assert torch.equal(model(batch.video, batch.audio).logits, model(batch.video, batch.audio).logits)
    model.train()
    assert not torch.equal(model(batch.video, batch.audio).logits, model(batch.video, batch.audio).logits)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("alexnet", "frames of 48 x 48 are too small for alexnet, which needs at least 63 x 63"),
        ("resnet18", "log-mel patches of 48 x 4 are too small for resnet18, which needs at least 8 x 8"),
        ("tiny", "log-mel patches of 48 x 4 are too small for tiny, which needs at least 8 x 8"),
        ("vgg11", "log-mel patches of 48 x 4 are too small for vgg11, which needs at least 32 x 32"),
    ],
)
def test_clips_too_small_for_the_encoders_are_refused(encoder: str, message: str) -> None:
    """Patches of 0.04 s at a hop of 0.01 s have 4 steps."""
    small = ClipFormat(num_segments=2, segment_seconds=0.04, frame_size=48, num_mels=48, n_fft=512)
    with pytest.raises(ValueError, match=message):
        ModelConfig.model_validate({"video_encoder": encoder, "audio_encoder": encoder}).build(small, num_classes=3)


def test_a_waveform_is_classified_as_the_patches_made_of_it(
    model: Classifier, batch: Batch, clip_format: ClipFormat
) -> None:
    """The same patches reach the encoder, and the gradient reaches every segment of the waveform."""
    noise = torch.rand(7, 4, clip_format.segment_samples, generator=torch.Generator().manual_seed(0))
    waveform = (0.2 * noise - 0.1).requires_grad_()
    model.eval()
    outputs = model(batch.video, waveform)
    assert torch.equal(outputs.logits, model(batch.video, LogMel(clip_format)(waveform)).logits)
    outputs.logits.sum().backward()
    assert waveform.grad is not None
    assert (waveform.grad.abs().amax(2) > 0).all()


def test_the_front_end_is_in_full_precision_inside_autocast(model: Classifier, clip_format: ClipFormat) -> None:
    """A full-scale tone has power 65,536 in one bin, more than half precision can hold."""
    seen: list[torch.Tensor] = []
    model.logmel.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    times = torch.arange(clip_format.segment_samples) / clip_format.sample_rate_hz
    waveform = torch.sin(2 * torch.pi * 1000 * times).expand(1, 4, -1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model(torch.zeros(1, 4, 3, 16, 16), waveform)
    assert torch.equal(seen[0], LogMel(clip_format)(waveform))


def test_the_front_end_stores_nothing(model: Classifier) -> None:
    """So that a checkpoint holds weights alone, whether or not it was trained on waveforms."""
    assert not [name for name in model.state_dict() if "logmel" in name]
