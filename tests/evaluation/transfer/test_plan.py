from __future__ import annotations

import torch

from evaluation.attack_lists import attack_label
from evaluation.transfer.plan import craftings_of
from tests.evaluation.transfer.hand_made import config_of
from training.models.classifier import Outputs
from training.passes import Passes

LOGITS = torch.zeros(1, 4)
WHOLE = Outputs(LOGITS, video_features=torch.zeros(1, 3, 8), audio_features=torch.zeros(1, 3, 8))


def test_every_surrogate_gets_every_attack_at_the_same_cost() -> None:
    """60 passes: 60 steps on one model, 30 on two, 20 on three."""
    config = config_of(ensembles=[["A", "B"], ["A", "B", "C"]])
    craftings, left_out = craftings_of(config, {each.name: WHOLE for each in config.surrogates})
    assert left_out == ()
    assert [(each.surrogate.name, attack_label(each.measurement.attack)) for each in craftings[::2]] == [
        *((name, "mifgsm-60") for name in "ABC"),
        ("A+B", "mifgsm-30"),
        ("A+B+C", "mifgsm-20"),
    ]
    assert {str(each.cost) for each in craftings} == {str(Passes(60, 60))}
    assert craftings[-1].measurement.label == "tma-20 from A+B+C"


def test_an_attack_that_a_surrogate_lacks_something_for_is_left_out_there_alone() -> None:
    config = config_of()
    craftings, left_out = craftings_of(config, {"A": WHOLE, "B": WHOLE, "C": Outputs(LOGITS)})
    assert [(each.attack, each.surrogate.name) for each in craftings] == [
        *(("mifgsm", "A"), ("tma", "A"), ("mifgsm", "B"), ("tma", "B"), ("mifgsm", "C")),
    ]
    [reason] = left_out
    assert reason.startswith("tma on C: ")
    assert "features" in reason


def test_without_a_budget_attacks_stay_as_they_are_listed() -> None:
    config = config_of(budget=None, ensembles=[["A", "B"]])
    craftings, _ = craftings_of(config, {each.name: WHOLE for each in config.surrogates})
    assert [each.attack for each in craftings[-2:]] == ["mifgsm-10", "tma-10"]
    assert craftings[-1].cost == Passes(20, 20)
