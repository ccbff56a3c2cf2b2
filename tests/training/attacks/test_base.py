from __future__ import annotations

import pytest
import torch

from training.attacks import FGSM
from training.attacks.base import frozen
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_given_targets_must_be_there(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="target='given', but the batch has no targets"):
        FGSM(target="given")(model, batch, ThreatModel(), generator)


def test_a_frozen_model_evaluates_and_takes_no_parameter_gradients(model: Classifier) -> None:
    model.train()
    with frozen(model):
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
