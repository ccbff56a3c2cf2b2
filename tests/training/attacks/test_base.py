from __future__ import annotations

from training.attacks.base import frozen
from training.models import Classifier


def test_a_frozen_model_evaluates_and_takes_no_parameter_gradients(model: Classifier) -> None:
    model.train()
    with frozen(model):
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
