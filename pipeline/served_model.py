"""A checkpoint behind MLflow's generic model interface (its loader module)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from training.checkpoint import load_model
from training.models import Classifier


class ServedModel:
    """A classifier that takes and gives arrays."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def predict(self, clips: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Logits `[B, classes]` of `{"video": [B T 3 H W], "audio": [B T M S]}`, both float32 in [0, 1]."""
        video, audio = (torch.as_tensor(clips[name]) for name in ("video", "audio"))
        with torch.inference_mode():
            logits: NDArray[np.float32] = self.classifier(video, audio).logits.numpy()
        return logits


def _load_pyfunc(path: str) -> ServedModel:
    """The entry point that MLflow calls with the folder of the stored checkpoint."""
    classifier, _ = load_model(path)
    return ServedModel(classifier)
