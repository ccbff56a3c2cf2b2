from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat
from training.attacks import MIFGSM, PGD
from training.batch import Batch
from training.models import Classifier, Outputs
from training.models.adapters import Adapter, LogMelFrontEnd, Normalised, PerSegment
from training.threat import ThreatModel

LOGMEL_THREAT = ThreatModel(video=8 / 255, audio=8 / 255)
WAVEFORM_THREAT = ThreatModel(video=8 / 255, audio=0.01, audio_domain="waveform")


class Strange(nn.Module):
    """Sound first, all of it as one spectrogram `[batch, 1, mels, all steps]`; frames `[batch, 3, segments, height,
    width]`; a dict for an answer. Batch statistics and dropout betray whoever forgets the evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.sound = nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
        self.sight = nn.Sequential(nn.Conv3d(3, 4, (1, 4, 4), (1, 4, 4)), nn.BatchNorm3d(4), nn.ReLU(), nn.Dropout(0.5))
        self.classes = nn.Linear(8, 4)

    def forward(self, spectrogram: Tensor, clip: Tensor) -> dict[str, Tensor]:
        heard, seen = self.sound(spectrogram).mean((2, 3)), self.sight(clip).mean((2, 3, 4))
        return {"scores": self.classes(torch.cat([heard, seen], 1))}


class AdaptedStrange(Adapter):
    def call(self, video: Tensor, audio: Tensor) -> Tensor:
        spectrogram = audio.transpose(1, 2).flatten(2)[:, None]
        scores: Tensor = self.model(spectrogram, video.transpose(1, 2))["scores"]
        return scores


class OneMoment(nn.Module):
    """A model of one frame and one patch."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.sight = nn.Linear(3 * 16 * 16, 4)
        self.sound = nn.Linear(16 * 16, 4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, frame: Tensor, patch: Tensor) -> Tensor:
        scores: Tensor = self.sight(self.dropout(self.norm(frame)).flatten(1)) + self.sound(patch.flatten(1))
        return scores


@pytest.fixture
def waveforms(batch: Batch, clip_format: ClipFormat) -> Batch:
    """The clips with a tone and noise for their sound."""
    source = torch.Generator().manual_seed(3)
    tone = torch.sin(torch.arange(clip_format.segment_samples) * 0.3)
    noise = torch.randn(7, 4, clip_format.segment_samples, generator=source)
    return batch.with_streams(batch.video, (0.3 * tone + 0.05 * noise).clamp(-1, 1))


def seeded(module: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return module()


def test_a_model_that_takes_our_clips_and_returns_logits_needs_no_subclass(model: Classifier, batch: Batch) -> None:
    class Plain(nn.Module):
        def forward(self, video: Tensor, audio: Tensor) -> Tensor:
            return video.mean((2, 3, 4)) + audio.mean((2, 3))

    logits = Adapter(Plain())(batch.video, batch.audio).logits
    assert torch.equal(logits, Plain()(batch.video, batch.audio))


def test_what_the_model_tells_beside_its_logits_is_kept(model: Classifier, batch: Batch) -> None:
    found, expected = Adapter(model)(batch.video, batch.audio), model(batch.video, batch.audio)
    assert torch.equal(found.video_features, expected.video_features)


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        ({"scores": torch.zeros(7, 4)}, "a dict"),
        (torch.zeros(7, 10, 4), r"a tensor of shape \[7, 10, 4\]"),
        (torch.zeros(28, 4), r"a tensor of shape \[28, 4\]"),
    ],
    ids=["dict", "three dimensions", "too many clips"],
)
def test_what_is_no_logits_is_refused(returned: object, got: str, batch: Batch) -> None:
    class Wrong(Adapter):
        def call(self, video: Tensor, audio: Tensor) -> Tensor:
            return returned  # type: ignore[return-value]

    with pytest.raises(
        ValueError, match=f"Wrong.call returned {got}; allowed: logits of shape \\[7, classes\\], or Out"
    ):
        Wrong(nn.Identity())(batch.video, batch.audio)


def test_a_waveform_model_hears_the_stored_patches(
    model: Classifier, waveforms: Batch, clip_format: ClipFormat
) -> None:
    patches = LogMel(clip_format)(waveforms.audio)
    found = LogMelFrontEnd(model, clip_format)(waveforms.video, waveforms.audio)
    assert torch.equal(found.logits, model(waveforms.video, patches).logits)
    assert found.audio_features is not None


def test_waveforms_of_another_length_are_refused(model: Classifier, batch: Batch, clip_format: ClipFormat) -> None:
    """0.16 s at 16 kHz are 2560 samples."""
    front_end = LogMelFrontEnd(model, clip_format)
    for audio in (torch.zeros(7, 4, 100), batch.audio):
        with pytest.raises(ValueError, match=r"audio has shape .*; allowed: waveforms \[batch, segments, 2560\]"):
            front_end(batch.video, audio)


def test_a_double_precision_waveform_model_is_attacked_in_double_precision(
    model: Classifier, waveforms: Batch, clip_format: ClipFormat, generator: torch.Generator
) -> None:
    clips = waveforms.with_streams(waveforms.video.double(), waveforms.audio.double())
    perturbed = PGD(steps=2)(LogMelFrontEnd(model, clip_format).double(), clips, WAVEFORM_THREAT, generator)
    assert perturbed.audio.dtype == torch.float64
    assert WAVEFORM_THREAT.distances(perturbed, clips)["audio"].min() > 0.009


def test_a_model_of_one_moment_is_averaged_over_its_segments(batch: Batch) -> None:
    inner = seeded(OneMoment).eval()
    expected = torch.stack([inner(batch.video[:, t], batch.audio[:, t]) for t in range(4)]).mean(0)
    assert torch.allclose(PerSegment(inner)(batch.video, batch.audio).logits, expected, atol=1e-6)


def test_streams_are_normalised_behind_the_attack(batch: Batch) -> None:
    """(1 - 0.5) / 0.25 = 2 for frames of ones, (1 - 0.4) / 0.2 = 3 for patches of ones."""

    class Means(nn.Module):
        def forward(self, video: Tensor, audio: Tensor) -> Tensor:
            return torch.stack([video.flatten(1).mean(1), audio.flatten(1).mean(1)], 1)

    adapted = Normalised(Means(), video_mean=(0.5,) * 3, video_std=(0.25,) * 3, audio_mean=0.4, audio_std=0.2)
    logits = adapted(torch.ones_like(batch.video), torch.ones_like(batch.audio)).logits
    assert torch.allclose(logits, torch.tensor([2.0, 3.0]).expand(7, 2), atol=1e-5)


def test_a_spread_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"audio_std=0\.0; allowed: greater than 0"):
        Normalised(nn.Identity(), audio_std=0.0)


ADAPTED = ["strange", "waveform", "per segment", "normalised"]


@pytest.mark.parametrize("kind", ADAPTED)
def test_attacks_reach_both_modalities_through_an_adapter_and_leave_the_model_as_found(
    kind: str, model: Classifier, batch: Batch, waveforms: Batch, clip_format: ClipFormat, generator: torch.Generator
) -> None:
    """The loss rises; training modes, batch statistics, flags and the global random state stay."""
    clips, threat = (waveforms, WAVEFORM_THREAT) if kind == "waveform" else (batch, LOGMEL_THREAT)
    model.set_dropout(0.5)
    adapters: dict[str, Callable[[], nn.Module]] = {
        "strange": lambda: AdaptedStrange(seeded(Strange)),
        "waveform": lambda: LogMelFrontEnd(model, clip_format),
        "per segment": lambda: PerSegment(seeded(OneMoment)),
        "normalised": lambda: PerSegment(Normalised(seeded(OneMoment), video_std=(0.2,) * 3)),
    }
    adapted = adapters[kind]().train()
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    random_state = torch.get_rng_state()
    perturbed = MIFGSM(steps=3)(adapted, clips, threat, generator)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(module.training for module in adapted.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in adapted.parameters())
    assert all(torch.equal(value, before[name]) for name, value in adapted.state_dict().items())
    assert all((distance > 0).all() for distance in threat.distances(perturbed, clips).values())
    with torch.no_grad():
        clean, attacked = (
            nn.functional.cross_entropy(adapted.eval()(each.video, each.audio).logits, each.labels)
            for each in (clips, perturbed)
        )
    assert attacked > clean


def test_an_adapter_may_return_more_than_logits(batch: Batch) -> None:
    class WithFeatures(Adapter):
        def call(self, video: Tensor, audio: Tensor) -> Outputs:
            seen, heard = video.mean((3, 4)), audio.mean(3)[..., :3]
            return Outputs(seen.mean(1) + heard.mean(1), video_features=seen, audio_features=heard)

    found = WithFeatures(nn.Identity())(batch.video, batch.audio)
    assert found.video_features is not None
    assert found.video_features.shape == (7, 4, 3)
