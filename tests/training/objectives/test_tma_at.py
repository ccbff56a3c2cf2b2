from __future__ import annotations

import pytest
import torch

from tests.training.attacks.linear import interior
from tests.training.objectives.table import shown
from training.batch import MODALITIES, Batch
from training.crafting import Crafting
from training.models import Classifier
from training.objectives import TMAAT, TMACurriculum


@pytest.mark.parametrize("objective", [TMAAT(), TMACurriculum()], ids=lambda objective: objective.name)
def test_training_crafts_by_settings_that_defaults_of_attacks_do_not_move(objective: TMAAT | TMACurriculum) -> None:
    """What transfers best to other models and what trains best are chosen apart."""
    named = objective.attack.model_dump()
    expected = {
        "temporal_weight": 0.1,
        "modality_weight": 0.3,
        "temporal": "consecutive",
        "features": "normalised",
        "agreement": "means",
        "combination": "normalised",
        "loss": "cross_entropy",
        "momentum": 0.0,
        "random_start": True,
        "smoothing": {"video": 1, "audio": 1},
        "sharing": {"segments": 1, "strength": 1.0, "of": "gradient"},
    }
    assert {name: named[name] for name in expected} == expected
    assert set(expected) <= objective.attack.model_fields_set


def test_a_quarter_of_four_segments_is_attacked_and_the_others_take_its_perturbation(
    model: Classifier, batch: Batch
) -> None:
    clips = interior(batch)
    (perturbed,) = shown(TMAAT(), model, clips)
    for name in MODALITIES:
        change = perturbed.stream(name) - clips.stream(name)
        torch.testing.assert_close(change, change[:, :1].expand_as(change), rtol=0, atol=1e-6)
        assert (change.flatten(1).abs().amax(1) > 0).all()


def test_the_sampled_segments_stay_the_same_many_from_first_to_last_step(model: Classifier, batch: Batch) -> None:
    """Without sharing they are told by their perturbation: two of four."""
    objective = TMAAT(crafting=Crafting(sampling_ratio=0.5, sharing="none"))
    for progress in (0.0, 1.0):
        (perturbed,) = shown(objective, model, batch, progress=progress)
        is_moved = (perturbed.video != batch.video).flatten(2).any(2)
        assert is_moved.sum(1).tolist() == [2] * len(batch)
