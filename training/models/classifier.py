"""The audio-visual classifier: normalise, encode each segment, average over time, fuse."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from preprocessing.logmel import LogMel
from training.models.dropout import ClipDropout
from training.models.fusion import Fusion

# Of the training images of torchvision's pretrained weights, per channel.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LOGMEL_MEAN = 0.5  # the middle of the stored range
LOGMEL_STD = 0.25


@dataclass(frozen=True)
class Outputs:
    """The results of a model that objectives and attacks use; a foreign model may have the logits alone."""

    logits: Float[Tensor, "batch classes"]
    video_features: Float[Tensor, "batch segments features"] | None = None
    audio_features: Float[Tensor, "batch segments features"] | None = None
    video_logits: Float[Tensor, "batch classes"] | None = None
    """Scores from the video alone: the other modality's features are zero."""
    audio_logits: Float[Tensor, "batch classes"] | None = None
    """Scores from the audio alone."""
    feature_parts: tuple[Tensor, ...] = ()
    """The tensors that the features are made of and the logits are computed from, where those are not the features
    themselves: the features of an ensemble's members."""


def predicted_classes(logits: Float[Tensor, "batch classes"]) -> Int[Tensor, " batch"]:
    """The class of the largest logit; -1, which is never right, where a logit is not finite."""
    return torch.where(logits.isfinite().all(1), logits.argmax(1), -1)


class Classifier(nn.Module):
    """A classifier of frames and log-mel patches in [0, 1], which it normalises itself, so attacks never see that.

    In place of the patches it takes the waveform that they were made of, in [-1, 1]: the front end that preprocessing
    stored them with is a part of the model, and gradients flow through it.
    """

    video_mean: Tensor
    video_std: Tensor

    def __init__(self, *, logmel: LogMel, video_encoder: nn.Module, audio_encoder: nn.Module, fusion: Fusion) -> None:
        super().__init__()
        self.logmel = logmel
        self.video_encoder = video_encoder
        self.audio_encoder = audio_encoder
        self.fusion = fusion
        self.dropout = ClipDropout()
        self.register_buffer("video_mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("video_std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    @property
    def heads(self) -> tuple[str, ...]:
        """The layers that give a score per class, by their names."""
        return tuple(f"fusion.{name}" for name in self.fusion.heads)

    def forward(
        self,
        video: Float[Tensor, "batch segments 3 height width"],
        audio: Float[Tensor, "batch segments *patch"],
    ) -> Outputs:
        """Classify clips of any number of segments, their audio `[mels, steps]` or `[samples]` each."""
        return self.classify(*self.encode(video, audio))

    def encode(
        self,
        video: Float[Tensor, "batch segments 3 height width"],
        audio: Float[Tensor, "batch segments *patch"],
    ) -> tuple[Float[Tensor, "batch segments features"], Float[Tensor, "batch segments features"]]:
        """Features of frames and audio, segment by segment: in evaluation mode no segment's depend on another's."""
        num_clips, num_segments = video.shape[:2]
        if audio.dim() == 3:
            with torch.autocast(audio.device.type, enabled=False):  # power spans more decades than half precision
                audio = self.logmel(audio)
        frames = (video.flatten(0, 1) - self.video_mean) / self.video_std
        patches = (audio.flatten(0, 1)[:, None] - LOGMEL_MEAN) / LOGMEL_STD
        video_features = self.video_encoder(frames).unflatten(0, (num_clips, num_segments))
        audio_features = self.audio_encoder(patches).unflatten(0, (num_clips, num_segments))
        return video_features, audio_features

    def classify(
        self,
        video_features: Float[Tensor, "batch segments features"],
        audio_features: Float[Tensor, "batch segments features"],
    ) -> Outputs:
        """Average the segments' features over time, and fuse."""
        video_clip = self.dropout(video_features, "video").mean(1)
        audio_clip = self.dropout(audio_features, "audio").mean(1)
        return Outputs(
            logits=self.fusion(video_clip, audio_clip),
            video_features=video_features,
            audio_features=audio_features,
            video_logits=self.fusion(video_clip, torch.zeros_like(audio_clip)),
            audio_logits=self.fusion(torch.zeros_like(video_clip), audio_clip),
        )

    def set_dropout(self, ratio: float) -> None:
        """Drop this share of feature units in training mode (a model-level curriculum moves it)."""
        self.dropout.p = ratio
