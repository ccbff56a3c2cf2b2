"""One call for people who have a model in memory: `evaluate_model(model, data, output=...)`."""

from __future__ import annotations

import ray
from torch import nn

from evaluation.config import EvaluateConfig
from evaluation.reporting.report import Report
from evaluation.run import evaluate


def evaluate_model(model: nn.Module, data: str, *, output: str, **settings: object) -> Report:
    """Measure the robustness of a model as `python -m pipeline evaluate` does.

    Args:
        model: called as `model(video, audio)` with frames `[B, T, 3, H, W]` and log-mel patches `[B, T, M, S]` in
            [0, 1] (waveforms `[B, T, samples]` in [-1, 1] if the threat is about them); returns logits `[B, classes]`,
            or `Outputs`. `training.models.adapters` make other models such ones. It is not changed.
        data: preprocessed data set, a folder or any fsspec URL.
        output: folder that receives the report, its page and the tables behind it.
        settings: any other setting of `EvaluateConfig`, such as `attacks="quick"` or `threat="linf(video=4/255)"`.

    Raises:
        ValueError: if a setting is not allowed, or the model does not fit the data; it says what, got and allowed.
    """
    named = f"{type(model).__module__}:{type(model).__qualname__}"
    config = EvaluateConfig.model_validate({"model": named, "data": data, "output": output, **settings})
    was_training = model.training
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    try:
        return evaluate(config, model=model)
    finally:
        model.train(was_training)
