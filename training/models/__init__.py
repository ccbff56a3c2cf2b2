"""Audio-visual classifiers: an encoder per modality and a fusion, chosen by name."""

from __future__ import annotations

from pydantic import PositiveInt

from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat, Settings
from training.models.classifier import Classifier, Outputs
from training.models.encoders import EncoderName, build_encoder
from training.models.fusion import FusionName, build_fusion

__all__ = ["Classifier", "ModelConfig", "Outputs"]


class ModelConfig(Settings):
    """Which encoders, and how their features are joined."""

    video_encoder: EncoderName = "resnet18"
    """Encoder of frames. `tiny` is for small clips on a processor."""
    audio_encoder: EncoderName = "resnet18"
    """Encoder of log-mel patches."""
    fusion: FusionName = "sum"
    """How the modalities are joined."""
    feature_size: PositiveInt = 512
    """Features per segment, the same for both modalities."""

    def build(self, clip_format: ClipFormat, num_classes: int) -> Classifier:
        """A freshly initialised classifier of clips in `clip_format`.

        Raises:
            ValueError: if frames or patches are smaller than the encoders' first layers.
        """
        smallest = 8
        if min(clip_format.frame_size, clip_format.num_mels, clip_format.steps) < smallest:
            raise ValueError(
                f"frames of {clip_format.frame_size} px and patches of {clip_format.num_mels} x {clip_format.steps} "
                f"are too small: the encoders need at least {smallest} in every direction"
            )
        return Classifier(
            logmel=LogMel(clip_format),
            video_encoder=build_encoder(self.video_encoder, "video", self.feature_size),
            audio_encoder=build_encoder(self.audio_encoder, "audio", self.feature_size),
            fusion=build_fusion(self.fusion, self.feature_size, num_classes),
        )
