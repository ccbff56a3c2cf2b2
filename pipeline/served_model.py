"""A checkpoint behind MLflow's generic model interface; MLflow runs this file to load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray

from training.checkpoint import load_model


class CheckpointModel(PythonModel):
    """Logits of clips: `predict({"video": [B T 3 H W], "audio": [B T M S]})`, both float32 in [0, 1]."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the checkpoint that was stored with the model."""
        model, _ = load_model(Path(context.artifacts["checkpoint"]))
        self.model = model.eval()

    def predict(self, context: PythonModelContext, model_input: Any, params: Any = None) -> NDArray[np.float32]:
        """Logits `[B, classes]`; `Any`, because MLflow knows no type for a mapping of arrays."""
        video, audio = (torch.as_tensor(model_input[name]) for name in ("video", "audio"))
        with torch.inference_mode():
            logits: NDArray[np.float32] = self.model(video, audio).logits.numpy()
        return logits


set_model(CheckpointModel())
