"""The weights that a training begins with: of single encoders, or of a whole classifier that was trained before."""

from __future__ import annotations

import logging

from torch import Tensor

from preprocessing.settings import describe_differences
from training.checkpoint import load_info, load_model
from training.models import Classifier, ModelConfig
from training.models.weights import NONE, WeightsError

logger = logging.getLogger(__name__)

ARCHITECTURE = ("video_encoder", "audio_encoder", "fusion", "feature_size")
"""The settings of a model that decide which weights it has."""


def load_initial(config: ModelConfig, model: Classifier, classes: tuple[str, ...]) -> None:
    """Fill a fresh `model` of these classes with the weights that its training begins with.

    From a checkpoint of the same classes in the same order all weights are taken. With other classes its last layers
    stay at random, and a line of the log says so.

    Raises:
        UserError: if the weights cannot be had or do not fit; of a checkpoint every setting that differs is named.
    """
    if config.weights == NONE:
        config.load_pretrained(model)
        return
    info = load_info(config.weights)
    if lines := describe_differences(
        info.model.model_dump(include=set(ARCHITECTURE)), config.model_dump(include=set(ARCHITECTURE))
    ):
        raise WeightsError(
            f"model.weights='{config.weights}' is a checkpoint of another model; set what it has, or choose another "
            "one. What differs:\n" + "\n".join(f"  model.{line}" for line in lines)
        )
    weights: dict[str, Tensor] = load_model(config.weights)[0].state_dict()
    if info.classes != classes:
        heads = model.heads
        logger.info(
            "the last layers, %s, are left at random: '%s' was trained for other classes (%d)",
            *(", ".join(heads), config.weights, len(info.classes)),
        )
        weights = {name: value for name, value in weights.items() if name.rpartition(".")[0] not in heads}
    model.load_state_dict(weights, strict=False)
