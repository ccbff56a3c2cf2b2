"""What holds for every attack under every threat model."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from tests.training.conftest import random_batch
from training.attacks import FGSM, IFGSM, MIFGSM, MMA, PGD, TIA, TMA, AnyAttack, Attack
from training.attacks.sharing import Sharing
from training.batch import MODALITIES, Batch
from training.models import Classifier, ModelConfig, Outputs
from training.threat import ThreatModel

ATTACKS: list[Attack] = [
    FGSM(),
    IFGSM(steps=2),
    PGD(steps=2),
    PGD(steps=2, loss="margin"),
    MIFGSM(steps=2),
    TIA(steps=2),
    TIA(steps=2, combination="weighted"),
    TIA(steps=2, temporal="copies", num_copies=2),
    TIA(steps=2, temporal="copies", combination="weighted", features="raw", temporal_weight=-0.1),
    TIA(steps=2, sharing=Sharing(segments=2, of="perturbation")),
    MMA(steps=2),
    MMA(steps=2, random_start=True),
    MMA(steps=2, agreement="segments"),
    MMA(steps=2, agreement="predictions", loss="margin"),
    TMA(steps=2),
    TMA(steps=2, combination="weighted", random_start=True),
    TMA(steps=2, temporal="copies", agreement="predictions", sharing=Sharing(segments=4)),
]
THREATS = [
    ThreatModel.model_validate(text)
    for text in ("linf(video=4/255, audio=8/255)", "linf(video=8/255)", "linf(audio=8/255)", "l2(video=0.5, audio=0.3)")
]
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=str)
every_threat = pytest.mark.parametrize("threat", THREATS, ids=str)


class Broken(nn.Module):
    """Wraps a classifier so that its second forward pass fails."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.calls = 0

    def forward(self, video: torch.Tensor, audio: torch.Tensor) -> Outputs:
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("out of memory")
        outputs: Outputs = self.classifier(video, audio)
        return outputs


def test_the_table_holds_every_attack() -> None:
    members = get_args(get_args(AnyAttack)[0])
    assert {type(attack) for attack in ATTACKS} == set(members)


@every_attack
def test_an_attack_is_its_settings(attack: Attack) -> None:
    assert TypeAdapter(AnyAttack).validate_python(attack.model_dump()) == attack


@every_attack
@every_threat
def test_perturbed_clips_stay_inside_ball_and_box(
    attack: Attack, threat: ThreatModel, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    perturbed = attack(model, batch, threat, generator)
    for modality, distance in threat.distances(perturbed, batch).items():
        stream = getattr(perturbed, modality)
        assert stream.isfinite().all()
        assert stream.min() >= 0.0
        assert stream.max() <= 1.0
        assert distance.max() <= getattr(threat, modality) * (1 + 1e-5) + 1e-7
        assert not stream.requires_grad
    assert perturbed.keys == batch.keys


@every_attack
@every_threat
def test_a_modality_without_budget_is_untouched_and_the_other_moves(
    attack: Attack, threat: ThreatModel, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    before = {modality: getattr(batch, modality).clone() for modality in MODALITIES}
    perturbed = attack(model, batch, threat, generator)
    for modality in MODALITIES:
        assert torch.equal(getattr(batch, modality), before[modality]), "the clean batch was modified"
        same = torch.equal(getattr(perturbed, modality), before[modality])
        assert same == (getattr(threat, modality) == 0)


@every_attack
def test_zero_budget_is_the_identity(
    attack: Attack, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    perturbed = attack(model, batch, ThreatModel(video=0, audio=0), generator)
    assert torch.equal(perturbed.video, batch.video)
    assert torch.equal(perturbed.audio, batch.audio)


@every_attack
@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_model_and_global_random_state_are_left_as_found(
    attack: Attack, fails: bool, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    if fails and attack.passes < 2:
        attack = IFGSM(steps=2)
    model.train()
    model.audio_encoder.eval()  # frozen by the user: must stay so
    next(model.fusion.parameters()).requires_grad_(False)
    next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    if fails:
        with pytest.raises(RuntimeError, match="out of memory"):
            attack(Broken(model), batch, THREATS[0], generator)
    else:
        with torch.no_grad():  # an attack needs gradients whatever its caller has switched off
            attack(model, batch, THREATS[0], generator)
    assert torch.equal(torch.rand(3), expected)
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    gradients = [parameter.grad for parameter in model.parameters()]
    assert torch.equal(gradients[0], torch.ones_like(gradients[0]))  # type: ignore[arg-type]
    assert all(gradient is None for gradient in gradients[1:])


@every_attack
@every_threat
def test_a_clip_gets_the_same_perturbation_in_any_batch(
    attack: Attack, threat: ThreatModel, model: Classifier, generator: torch.Generator
) -> None:
    """Alone, in a batch of 7 in reverse order, or with others: equal up to rounding of the matrix products."""
    whole = random_batch(7)
    backwards = torch.arange(6, -1, -1)
    reordered = Batch(whole.video[backwards], whole.audio[backwards], whole.labels[backwards], whole.keys[::-1])
    together = attack(model, whole, threat, generator)
    reverse = attack(model, reordered, threat, generator)
    for clip in range(7):
        alone = Batch(whole.video[[clip]], whole.audio[[clip]], whole.labels[[clip]], (whole.keys[clip],))
        single = attack(model, alone, threat, generator)
        for modality in MODALITIES:
            expected = getattr(together, modality)[clip]
            for other in (getattr(single, modality)[0], getattr(reverse, modality)[6 - clip]):
                assert ((other - expected).abs() > 1e-5).float().mean() < 2e-3


@every_attack
def test_the_seed_decides_the_result(attack: Attack, model: Classifier, batch: Batch) -> None:
    first, again, other = (
        attack(model, batch, THREATS[0], torch.Generator().manual_seed(seed)).video for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    is_random = getattr(attack, "random_start", False) or getattr(attack, "copies_per_step", 0) > 0
    assert torch.equal(first, other) != is_random


@every_attack
@every_threat
def test_an_attack_raises_the_loss(
    attack: Attack, threat: ThreatModel, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    perturbed = attack(model, batch, threat, generator)
    with torch.no_grad():
        clean_loss, perturbed_loss = (
            nn.functional.cross_entropy(model(clips.video, clips.audio).logits, clips.labels)
            for clips in (batch, perturbed)
        )
    assert perturbed_loss > clean_loss


@every_attack
def test_clips_without_a_usable_gradient_move_all_the_same(
    attack: Attack, batch: Batch, generator: torch.Generator
) -> None:
    """A constant model has zero gradients, one that divides by zero has none that are finite."""

    class Constant(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, video: torch.Tensor, audio: torch.Tensor) -> Outputs:
            features = [stream.flatten(2)[..., :4] * self.factor for stream in (video, audio)]
            logits = (features[0] + features[1]).sum(1)
            return Outputs(logits, features[0], features[1], logits, logits)

    for factor in (0.0, float("nan"), float("inf")):
        perturbed = attack(Constant(factor), batch, THREATS[0], generator)
        for modality in MODALITIES:
            stream, clean = getattr(perturbed, modality), getattr(batch, modality)
            assert stream.isfinite().all()
            assert ((stream - clean).flatten(1).abs().amax(1) > 0).all()


@every_attack
def test_a_model_that_ignores_the_sound_can_be_attacked(
    attack: Attack, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    class Deaf(nn.Module):
        def forward(self, video: torch.Tensor, audio: torch.Tensor) -> Outputs:
            outputs: Outputs = model(video, torch.zeros_like(audio))
            return outputs

    perturbed = attack(Deaf(), batch, THREATS[0], generator)
    assert THREATS[0].distances(perturbed, batch)["video"].min() > 0
    assert perturbed.audio.isfinite().all()


@every_attack
def test_passes_are_what_the_model_is_called_for(
    attack: Attack, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    counted = Broken(model)
    counted.calls = 2
    attack(counted, batch, THREATS[0], generator)
    assert counted.calls - 2 == attack.passes


@every_attack
def test_results_do_not_depend_on_the_fusion_or_encoder(
    attack: Attack, batch: Batch, generator: torch.Generator
) -> None:
    """Batch normalisation inside ResNet-18 must not mix clips: its running statistics are used and kept."""
    from preprocessing.schema import ClipFormat

    clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
    network = ModelConfig(feature_size=8).build(clip_format, 4).train()
    statistics = {name: value.clone() for name, value in network.named_buffers()}
    pair = Batch(batch.video[:2], batch.audio[:2], batch.labels[:2], batch.keys[:2])
    perturbed = attack(network, pair, THREATS[0], generator)
    assert THREATS[0].distances(perturbed, pair)["video"].min() > 0
    assert all(torch.equal(value, statistics[name]) for name, value in network.named_buffers())
