"""Audio-visual classifiers: an encoder per modality and a fusion, chosen by name."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, PositiveInt, model_validator

from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat
from preprocessing.settings import Settings
from training.batch import Modality
from training.models.classifier import Classifier, Outputs
from training.models.encoders import ENCODERS, EncoderName, build_encoder
from training.models.ensemble import Ensemble
from training.models.fusion import FusionName, build_fusion
from training.models.weights import IMAGENET, NONE, CheckpointSource, WeightsSource, load_pretrained

__all__ = ["Classifier", "Ensemble", "ModelConfig", "Outputs"]

_PAPER_ENCODERS: dict[str, EncoderName] = {"A": "alexnet", "R": "resnet18"}
_PAPER_FUSIONS: dict[str, FusionName] = {"c": "concat", "s": "sum"}


class ModelConfig(Settings):
    """The architecture: an encoder for each modality, and the fusion of their features.

    May be written as the paper names its models (arXiv:2502.11858): video encoder, fusion, audio encoder, with A =
    AlexNet, R = ResNet-18, c = concat, s = sum. `AcR` is AlexNet for video and ResNet-18 for audio, concatenated.
    """

    video_encoder: EncoderName = "resnet18"
    """Encoder of frames. `tiny` is for small clips on a processor."""
    audio_encoder: EncoderName = "resnet18"
    """Encoder of log-mel patches."""
    fusion: FusionName = "sum"
    """Fusion of the modalities' features."""
    feature_size: PositiveInt = Field(default=512, le=65_536)
    """Features per segment, the same for both modalities."""
    video_weights: WeightsSource = "none"
    """Initial weights of the video encoder: `none` (at random), `imagenet` (torchvision's, downloaded), or the
    path of a state dict, `.safetensors`, `.pt` or `.pth`. Checkpoints hold all weights and never need it again."""
    audio_weights: WeightsSource = "none"
    """The same for the audio encoder; a stem for three channels is added up to one."""
    weights: CheckpointSource = "none"
    """Initial weights of the whole classifier: `none`, or the folder of a checkpoint of the same architecture, such as
    `runs/a/checkpoint`. If its classes are others, its last layers are left at random."""

    @model_validator(mode="before")
    @classmethod
    def _parse_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = re.fullmatch("([AR])([cs])([AR])", value)
        if match is None:
            names = ", ".join(a + f + b for a in _PAPER_ENCODERS for f in _PAPER_FUSIONS for b in _PAPER_ENCODERS)
            raise ValueError(f"'{value}' is not one of the paper's models; allowed: {names}, or single settings")
        video, fusion, audio = match.groups()
        return {
            "video_encoder": _PAPER_ENCODERS[video],
            "fusion": _PAPER_FUSIONS[fusion],
            "audio_encoder": _PAPER_ENCODERS[audio],
        }

    def __str__(self) -> str:
        """The architecture: the paper's name for it, or the parts' names such as `tiny-film-vgg11`."""
        encoders = {name: letter for letter, name in _PAPER_ENCODERS.items()}
        fusions = {name: letter for letter, name in _PAPER_FUSIONS.items()}
        parts = self.video_encoder, self.fusion, self.audio_encoder
        letters = encoders.get(parts[0]), fusions.get(parts[1]), encoders.get(parts[2])
        return "".join(filter(None, letters)) if all(letters) else "-".join(parts)

    @model_validator(mode="after")
    def _tiny_is_not_pretrained(self) -> ModelConfig:
        for modality, encoder, weights in (
            ("video", self.video_encoder, self.video_weights),
            ("audio", self.audio_encoder, self.audio_weights),
        ):
            if encoder == "tiny" and weights == IMAGENET:
                raise ValueError(f"{modality}_weights={IMAGENET}: tiny has no such weights; allowed: none, or a file")
        return self

    @model_validator(mode="after")
    def _weights_come_from_one_place(self) -> ModelConfig:
        others = [name for name in ("video_weights", "audio_weights") if getattr(self, name) != NONE]
        if self.weights != NONE and others:
            raise ValueError(f"weights={self.weights} fills both encoders: leave out {' and '.join(others)}, or it")
        return self

    def build(self, clip_format: ClipFormat, num_classes: int) -> Classifier:
        """A freshly initialised classifier of clips in `clip_format`; `load_pretrained` then fills its encoders.

        Raises:
            ValueError: if frames or patches are smaller than an encoder can see.
        """
        for modality, name, size in (
            ("frames", self.video_encoder, (clip_format.frame_size, clip_format.frame_size)),
            ("log-mel patches", self.audio_encoder, (clip_format.num_mels, clip_format.steps)),
        ):
            smallest = ENCODERS[name].smallest
            if min(size) < smallest:
                raise ValueError(
                    f"{modality} of {size[0]} x {size[1]} are too small for {name}, which needs at least "
                    f"{smallest} x {smallest}: choose another encoder, or preprocess with larger {modality}"
                )
        return Classifier(
            logmel=LogMel(clip_format),
            video_encoder=build_encoder(self.video_encoder, "video", self.feature_size),
            audio_encoder=build_encoder(self.audio_encoder, "audio", self.feature_size),
            fusion=build_fusion(self.fusion, self.feature_size, num_classes),
        )

    @property
    def batch_normalised(self) -> dict[Modality, WeightsSource]:
        """Initial weights of the encoders that have batch normalisation, by modality."""
        whole = self.weights if self.weights != NONE else None
        encoders: dict[Modality, tuple[EncoderName, WeightsSource]] = {
            "video": (self.video_encoder, whole or self.video_weights),
            "audio": (self.audio_encoder, whole or self.audio_weights),
        }
        return {modality: weights for modality, (name, weights) in encoders.items() if ENCODERS[name].has_batch_norm}

    def load_pretrained(self, model: Classifier) -> None:
        """Fill the encoders of a fresh `model` with the weights that training starts from.

        Raises:
            WeightsError: if they cannot be had or do not fit.
        """
        load_pretrained(model.video_encoder, self.video_encoder, self.video_weights)
        load_pretrained(model.audio_encoder, self.audio_encoder, self.audio_weights)
