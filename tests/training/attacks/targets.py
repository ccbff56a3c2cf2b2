"""The models and rules of the table of guarantees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from preprocessing.schema import ClipFormat
from training.batch import Batch
from training.models import Classifier, ModelConfig, Outputs
from training.models.ensemble import Ensemble
from training.threat import ThreatModel

FORMAT = ClipFormat(num_segments=4, segment_seconds=0.08, frame_size=8, num_mels=8, n_fft=256)
NUM_CLASSES = 5

THREATS = {
    text: ThreatModel.model_validate(text)
    for text in (
        "linf(video=4/255, audio=8/255)",
        "linf(video=8/255, audio=0)",
        "linf(video=0, audio=8/255)",
        "linf(video=4/255, audio=8/255, segments=1-2)",
        "l2(video=0.5, audio=0.3)",
        "linf(video=4/255, waveform=0.01)",
        "l2(video=0.5, waveform=0.2, segments=0+3)",
    )
}


def classifier(fusion: str = "concat", *, seed: int = 0, encoder: str = "tiny") -> Classifier:
    """A small classifier with fixed random weights in double precision, as a training leaves it: in training mode."""
    config = ModelConfig.model_validate(
        {"video_encoder": encoder, "audio_encoder": encoder, "fusion": fusion, "feature_size": 8}
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return config.build(FORMAT, NUM_CLASSES).double().train()


def random_clips(threat: ThreatModel, num_clips: int) -> Batch:
    """Noise in the threat's domain, some of it on the border of the box."""
    source = torch.Generator().manual_seed(1)
    video = torch.rand(num_clips, 4, 3, 8, 8, generator=source, dtype=torch.float64)
    if threat.audio_domain == "logmel":
        audio = torch.rand(num_clips, 4, 8, FORMAT.steps, generator=source, dtype=torch.float64) * 1.2 - 0.1
    else:
        audio = torch.randn(num_clips, 4, FORMAT.segment_samples, generator=source, dtype=torch.float64) * 0.4
    labels = torch.randint(NUM_CLASSES, (num_clips,), generator=source)
    keys = tuple(f"clip_{number}" for number in range(num_clips))
    return Batch((video * 1.2 - 0.1).clamp(0, 1), audio.clamp(*threat.box("audio")), labels, keys, (labels + 1) % 5)


class Deaf(nn.Module):
    """Looks, but does not listen."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.model(video, torch.zeros_like(audio))
        return outputs


class Constant(nn.Module):
    """Scores that are right whatever it is shown, times a factor: no gradient, or none that is finite."""

    def __init__(self, factor: float = 0.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        features = [stream.flatten(2)[..., :NUM_CLASSES] * self.factor for stream in (video, audio)]
        logits = (features[0] + features[1]).sum(1)
        return Outputs(logits, features[0], features[1], logits, logits)


class Steadfast(nn.Module):
    """Never fooled, though its gradients are a classifier's: nothing can be left out because a clip is fooled."""

    def __init__(self, model: nn.Module, labels: Tensor) -> None:
        super().__init__()
        self.model = model
        self.lead = 1e3 * nn.functional.one_hot(labels[:1], NUM_CLASSES)

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        outputs: Outputs = self.model(video, audio)
        return replace(outputs, logits=outputs.logits + self.lead)


class Counted(nn.Module):
    """Counts passes over clips, and raises at the one numbered `fails_at`."""

    def __init__(self, model: nn.Module, fails_at: int | float = -1) -> None:
        super().__init__()
        self.model = model
        self.fails_at = fails_at
        self.forward_passes = 0
        self.backward_passes = 0

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        self.forward_passes += len(video)
        if self.forward_passes == self.fails_at:
            raise RuntimeError("out of memory")
        if video.requires_grad:  # a way back to the clips ends here, wherever in the model it began
            video.register_hook(self._count)  # type: ignore[no-untyped-call]
        outputs: Outputs = self.model(video, audio)
        return outputs

    def _count(self, gradient: Tensor) -> None:
        self.backward_passes += len(gradient)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "concat": lambda: classifier("concat"),
    "sum": lambda: classifier("sum"),
    "film": lambda: classifier("film"),
    "gated": lambda: classifier("gated"),
    "ensemble": lambda: Ensemble([classifier("sum"), classifier("concat", seed=1)]),
    "deaf": lambda: Deaf(classifier("concat")),
}
