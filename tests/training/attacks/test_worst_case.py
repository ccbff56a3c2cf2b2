from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import yaml
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from tests.training.attacks.targets import Counted, random_clips
from tests.training.attacks.trained import trained_classifier
from training.attacks import (
    APGD,
    APGDT,
    FAB,
    FGSM,
    IFGSM,
    PGD,
    TIA,
    TMA,
    AnyAttack,
    Attack,
    MinimalBudget,
    Square,
    WorstCase,
)
from training.attacks.engine.best_attempt import measured_margin
from training.attacks.engine.losses import UnsuitedModelError
from training.batch import Batch
from training.models.classifier import Outputs
from training.passes import Passes
from training.threat import ThreatModel

SMALL = ThreatModel(video=6 / 255, audio=6 / 255)


def read(text: str) -> Attack:
    """An attack as a YAML file names it."""
    attack: Attack = TypeAdapter(AnyAttack).validate_python(yaml.safe_load(text))
    return attack


def test_a_yaml_file_can_name_its_attacks() -> None:
    text = "{name: worst_case, attacks: [{name: apgd, steps: 7}, {name: square}]}"
    assert read(text) == WorstCase(attacks=(APGD(steps=7), Square()))


def test_attacks_that_hold_attacks_can_be_held_in_turn() -> None:
    text = "{name: worst_case, attacks: [{name: minimal_budget, attack: {name: worst_case, attacks: [{name: fgsm}]}}]}"
    assert read(text) == WorstCase(attacks=(MinimalBudget(attack=WorstCase(attacks=(FGSM(),))),))


def test_a_list_without_attacks_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        WorstCase(attacks=())


def test_the_default_has_autoattacks_four_and_ours_the_cheapest_first() -> None:
    names = [attack.name for attack in WorstCase().attacks]
    assert names == ["tma", "apgd", "apgdt", "fab", "square"]
    costs = [attack.cost.forward for attack in WorstCase().attacks]
    assert costs == sorted(costs)


def test_the_cost_is_the_sum_and_a_look_at_each_result() -> None:
    """1 + 1 and 3 + 1 forward passes, 1 and 3 backward ones."""
    assert WorstCase(attacks=(FGSM(), IFGSM(steps=3))).cost == Passes(6, 4)


def test_a_clip_that_any_of_the_attacks_fools_is_fooled() -> None:
    network, clips = trained_classifier()
    members = (FGSM(), Square(queries=10), IFGSM(steps=5))
    clips = clips.with_targets(None)
    each = [measured_margin(network, attack(network, clips, SMALL, torch.Generator())) > 0 for attack in members]
    together = measured_margin(network, WorstCase(attacks=members)(network, clips, SMALL, torch.Generator())) > 0
    assert torch.equal(together, each[0] | each[1] | each[2])
    assert all(one.sum() < together.sum() or torch.equal(one, together) for one in each)


def test_each_attack_sees_the_clips_that_none_before_has_fooled() -> None:
    """FGSM: one pass and a look at 64 clips; I-FGSM: five passes and a look at those that are left."""
    network, clips = trained_classifier()
    clips = clips.with_targets(None)
    left = int((measured_margin(network, FGSM()(network, clips, SMALL, torch.Generator())) <= 0).sum())
    assert 0 < left < 64
    counted = Counted(network)
    WorstCase(attacks=(FGSM(), IFGSM(steps=5)))(counted, clips, SMALL, torch.Generator())
    assert counted.forward_passes == 2 * 64 + 6 * left
    assert counted.backward_passes == 64 + 5 * left


def test_more_attacks_never_lower_the_margin() -> None:
    network, clips = trained_classifier()
    clips = clips.with_targets(None)
    one, two = (
        measured_margin(network, WorstCase(attacks=attacks)(network, clips, SMALL, torch.Generator()))
        for attacks in ((FGSM(),), (FGSM(), PGD(steps=5)))
    )
    assert (two >= one - 1e-6).all()


def test_a_larger_epsilon_never_raises_robust_accuracy() -> None:
    network, clips = trained_classifier()
    clips = clips.select(torch.arange(32)).with_targets(None)
    attack = WorstCase(
        attacks=(APGD(steps=5), APGDT(steps=3, num_targets=2), FAB(steps=2, num_targets=2), Square(queries=5))
    )
    robust = [
        int((measured_margin(network, attack(network, clips, SMALL.scaled(factor), torch.Generator())) <= 0).sum())
        for factor in (0.5, 1.0, 2.0, 4.0)
    ]
    assert robust == sorted(robust, reverse=True)
    assert robust[0] > robust[-1]


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_the_default_works_on_logits_alone_and_on_few_classes(num_classes: int) -> None:
    """TMA is left out, for want of features; all clips are attacked by the others."""
    many = random_clips(SMALL, 6)
    clips = replace(many, labels=many.labels % num_classes, targets=None)
    model = LogitsAlone(clips, num_classes)
    attack = WorstCase(attacks=(TMA(), *(each.model_copy(update={"steps": 3}) for each in (APGD(), APGDT(), FAB()))))
    perturbed = attack(model, clips, SMALL, torch.Generator())
    assert (measured_margin(model, perturbed) > measured_margin(model, clips)).all()
    outputs = model(clips.video, clips.audio)
    assert WorstCase().obstacle(outputs) == ""
    assert "gives no features" in TMA().obstacle(outputs)
    with pytest.raises(UnsuitedModelError, match="LogitsAlone gives no features"):
        WorstCase(attacks=(TMA(), TIA()))(model, clips, SMALL, torch.Generator())


class LogitsAlone(nn.Module):
    """A smooth function of all pixels and patches; nothing but scores comes out."""

    def __init__(self, clips: Batch, num_classes: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.video = nn.Linear(clips.video[0].numel(), num_classes).double()
            self.audio = nn.Linear(clips.audio[0].numel(), num_classes).double()

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        return Outputs(torch.tanh(self.video(video.flatten(1)) + self.audio(audio.flatten(1))))
