from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from preprocessing.schema import ClipFormat
from tests.training.conftest import NUM_CLASSES, random_batch
from training.attacks import PGD, TMA
from training.attacks.base import frozen
from training.attacks.engine.ascent import Ascent
from training.attacks.engine.features import features_of, variation
from training.attacks.engine.gradients import classification_gradient
from training.batch import MODALITIES, Batch, gather_segments
from training.crafting import nearest_sampled
from training.models import Classifier, ModelConfig
from training.models.encoders import EncoderName
from training.models.fusion import FusionName
from training.partial_view import SampleAmongClean, SampleSharingGradients, others
from training.threat import ThreatModel

INDEX = torch.tensor([[0, 2], [1, 3], [1, 2]])


def precise(encoder: str, fusion: str) -> Classifier:
    """Random weights in double precision, and batch statistics that are not those of fresh layers."""
    config = ModelConfig.model_validate(
        {"video_encoder": encoder, "audio_encoder": encoder, "fusion": fusion, "feature_size": 8}
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = config.build(ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16), NUM_CLASSES)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = torch.randn(module.num_features) / 4
                module.running_var = torch.rand(module.num_features) + 0.5
    return model.double().eval()


@pytest.fixture
def clips() -> Batch:
    """Three clips of four segments in double precision."""
    batch = random_batch(3)
    return batch.with_streams(batch.video.double(), batch.audio.double())


def test_the_others_are_what_a_sample_leaves_out() -> None:
    assert others(INDEX, 4).tolist() == [[1, 3], [0, 2], [0, 3]]


@pytest.mark.parametrize(
    ("encoder", "fusion"), [*(("tiny", fusion) for fusion in get_args(FusionName)), ("resnet18", "sum")]
)
def test_a_sample_among_clean_features_has_the_gradients_of_the_whole_clip(
    encoder: EncoderName, fusion: FusionName, clips: Batch
) -> None:
    """The sampled segments have moved, the others are clean: as the full forward pass, to 1e-9."""
    model, sample = precise(encoder, fusion), clips.select_segments(INDEX)
    view = SampleAmongClean.of(model, clips, INDEX)
    moved = sample.with_streams((sample.video + 0.01).clamp(0, 1), (sample.audio - 0.01).clamp(0, 1))
    whole = clips.with_streams(*(with_sample(clips.stream(name), moved.stream(name)) for name in MODALITIES))
    with frozen(model):
        expected = classification_gradient()(model, whole, MODALITIES)
        found = classification_gradient()(view, moved, MODALITIES)
        torch.testing.assert_close(
            view(moved.video, moved.audio).logits, model(whole.video, whole.audio).logits, rtol=1e-9, atol=1e-12
        )
    for name in MODALITIES:
        sampled = gather_segments(expected.streams[name], INDEX)
        assert sampled.abs().amax() > 0
        torch.testing.assert_close(found.streams[name], sampled, rtol=1e-9, atol=1e-9 * float(sampled.abs().amax()))


def with_sample(stream: Tensor, sampled: Tensor) -> Tensor:
    changed = stream.clone()
    changed[torch.arange(len(stream))[:, None], INDEX] = sampled
    return changed


def test_terms_over_time_see_the_whole_clip(clips: Batch) -> None:
    """L_T from segment to segment is that of four segments, not of the two that are sampled."""
    model = precise("tiny", "concat")
    sample = clips.select_segments(INDEX)
    looks = [SampleAmongClean.of(model, clips, INDEX)(sample.video, sample.audio), model(clips.video, clips.audio)]
    found, whole = (variation("consecutive", "normalised", [look], model) for look in looks)
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-12)
    assert features_of(looks[0], model)[0].shape == (3, 4, 8)


def test_clean_features_take_one_forward_pass_over_the_others_and_no_graph(clips: Batch) -> None:
    model = precise("tiny", "sum")
    frames: list[int] = []
    model.video_encoder.register_forward_hook(lambda _, arguments, __: frames.append(len(arguments[0])))
    view = SampleAmongClean.of(model.train(), clips, INDEX)
    assert model.training
    assert not view.video_features.requires_grad
    PGD(steps=3)(view, clips.select_segments(INDEX), ThreatModel(), torch.Generator())
    assert frames == [6] + [6] * 3


def test_a_model_without_features_is_refused(clips: Batch) -> None:
    with pytest.raises(ValueError, match="clean features come from a Classifier, got Identity; set context=none"):
        SampleAmongClean.of(nn.Identity(), clips, INDEX)


def test_every_segment_gets_the_gradient_of_its_nearest_sample(clips: Batch) -> None:
    """Samples at 0 and 2 of the first clip: segments 0 and 1 follow the first of them, 2 and 3 the second."""
    model = precise("tiny", "concat")
    nearest = nearest_sampled(INDEX, 4)
    view = SampleSharingGradients(model, INDEX, nearest)
    with frozen(view):
        found = classification_gradient()(view, clips, MODALITIES)
        alone = classification_gradient()(model, clips.select_segments(INDEX), MODALITIES)
    assert nearest[0].tolist() == [0, 0, 1, 1]
    for name in MODALITIES:
        assert torch.equal(found.streams[name], gather_segments(alone.streams[name], nearest))


def test_with_a_shared_gradient_every_segment_keeps_its_own_start(clips: Batch) -> None:
    """Far from all borders a step of a tenth leaves neighbours as far apart as their random starts were."""
    inner = clips.with_streams(clips.video / 2 + 0.25, clips.audio / 2 + 0.25)
    view = SampleSharingGradients(precise("tiny", "concat"), INDEX, nearest_sampled(INDEX, 4))
    threat, generator = ThreatModel(), torch.Generator().manual_seed(0)
    starts = Ascent(steps=0, step_size=0.0, random_start=True)(
        view, inner, threat, generator, classification_gradient()
    )
    perturbed = PGD(steps=1, step_size=0.1)(view, inner, threat, generator)
    step = perturbed.video - starts.video
    is_inside = (perturbed.video - inner.video).abs() < 0.999 * threat.video
    both = is_inside[0, 0] & is_inside[0, 1]
    assert both.float().mean() > 0.5
    torch.testing.assert_close(step[0, 0][both], step[0, 1][both])
    assert not torch.allclose(starts.video[0, 0], starts.video[0, 1])


def test_the_terms_of_tma_work_on_both_views_at_once(clips: Batch) -> None:
    model = precise("tiny", "concat")
    view = SampleSharingGradients(SampleAmongClean.of(model, clips, INDEX), INDEX, nearest_sampled(INDEX, 4))
    perturbed = TMA(steps=2)(view, clips, ThreatModel(), torch.Generator().manual_seed(0))
    for name in MODALITIES:
        assert ((perturbed.stream(name) - clips.stream(name)).flatten(2).abs().amax(2) > 0).all()
