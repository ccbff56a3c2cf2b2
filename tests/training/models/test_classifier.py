from __future__ import annotations

import pytest
import torch

from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat
from training.batch import Batch
from training.models import Classifier, ModelConfig


@pytest.mark.parametrize("encoder", ["tiny", "resnet18"])
@pytest.mark.parametrize("fusion", ["sum", "concat"])
def test_outputs_have_the_promised_shapes_and_gradients(
    encoder: str, fusion: str, clip_format: ClipFormat, batch: Batch
) -> None:
    config = ModelConfig.model_validate(
        {"video_encoder": encoder, "audio_encoder": encoder, "fusion": fusion, "feature_size": 12}
    )
    classifier = config.build(clip_format, num_classes=5)
    outputs = classifier(batch.video, batch.audio)
    assert outputs.logits.shape == outputs.video_logits.shape == outputs.audio_logits.shape == (7, 5)
    assert outputs.video_features.shape == outputs.audio_features.shape == (7, 4, 12)
    outputs.logits.sum().backward()
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


def test_clips_too_small_for_the_encoders_are_refused() -> None:
    small = ClipFormat(num_segments=2, segment_seconds=0.16, frame_size=4, num_mels=16)
    with pytest.raises(ValueError, match="frames of 4 px and patches of 16 x 16 are too small"):
        ModelConfig().build(small, num_classes=3)


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
