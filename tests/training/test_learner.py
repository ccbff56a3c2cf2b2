from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.small_training import build, run_epoch, settings
from training.learner import Learner, NonFiniteGradientError
from training.optimization import OptimizerConfig


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_touched(tiny_dataset: Path) -> None:
    config = settings(tiny_dataset, gradient_clip=None)
    learner = build(config)
    with torch.no_grad():
        next(learner.classifier.fusion.parameters()).view(-1)[0] = float("nan")
    before = {key: value.clone() for key, value in learner.classifier.state_dict().items()}
    with pytest.raises(NonFiniteGradientError, match="epoch 2, step 1 of 3: the gradient has length nan, the loss is"):
        run_epoch(config, learner, 1)
    for key, value in learner.classifier.state_dict().items():
        assert torch.equal(value, before[key]) or value.isnan().any()


def test_the_gradient_is_clipped_and_its_full_length_reported(tiny_dataset: Path) -> None:
    """Gradient descent at rate 1 with gradients of length 0.001 moves the weights by 0.003 in three steps at most."""
    config = settings(
        tiny_dataset,
        gradient_clip=1e-3,
        optimizer=OptimizerConfig(name="sgd", learning_rate=1.0, weight_decay=0.0, warmup=0.0),
    )
    model = build(config).classifier
    before = {key: value.clone() for key, value in model.named_parameters()}
    plain = torch.optim.SGD(model.parameters(), lr=1.0)
    metrics = run_epoch(config, Learner(model, plain), 0)
    moved = torch.cat([(value - before[key]).flatten() for key, value in model.named_parameters()]).norm()
    assert 0 < float(moved.detach()) <= 3e-3 * 1.01
    assert metrics["train/gradient_norm"] > 1e-3
