"""What holds for every attack that accumulates gradients."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor, nn

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.trained import trained
from training.attacks import MIFGSM, MIG, NIFGSM, PAM, TT, VMIFGSM
from training.attacks.gradients import Gradient
from training.attacks.momentum_attack import MomentumAttack
from training.attacks.sharing import Sharing
from training.batch import MODALITIES, Batch
from training.models import Classifier, Outputs
from training.threat import ThreatModel

THREATS = [
    ThreatModel.model_validate(text)
    for text in (
        "linf(video=0.05, audio=0.02)",
        "linf(video=0.05, waveform=0.02)",
        "linf(video=0.05, audio=0.02, segments=1-2)",
    )
]
SMALL: list[MomentumAttack] = [
    MIFGSM(steps=4),
    MIG(steps=4, num_points=3),
    MIG(steps=4, num_points=3, attribution="path_average"),
    NIFGSM(steps=4),
    PAM(steps=4, num_baselines=4, num_scales=1),
    VMIFGSM(steps=4, num_neighbours=3),
    TT(steps=4, max_shift=1),
]
every_attack = pytest.mark.parametrize("attack", SMALL, ids=lambda attack: attack.name)
every_attack_but_tt = pytest.mark.parametrize("attack", SMALL[:-1], ids=lambda attack: attack.name)


def interior(threat: ThreatModel) -> Batch:
    """Three clips of the linear model's class 0 so far inside their boxes that these never bind."""
    source = torch.Generator().manual_seed(4)
    video = 0.25 + 0.5 * torch.rand(3, 4, 3, 16, 16, generator=source)
    patches = 0.25 + 0.5 * torch.rand(3, 4, 16, 16, generator=source)
    audio = patches if threat.audio_domain == "logmel" else (2.0 * patches - 1.0).flatten(2)
    return Batch(video, audio, torch.zeros(3, dtype=torch.long), ("a", "b", "c"))


@every_attack_but_tt  # which follows what the weights of neighbouring segments agree on
@pytest.mark.parametrize("threat", THREATS, ids=str)
def test_on_a_linear_model_the_linf_optimum_is_reached_by_signed_data_too(
    attack: MomentumAttack, threat: ThreatModel, generator: torch.Generator
) -> None:
    """The score falls fastest at x - epsilon sign(w), wherever the threat allows a change, in whatever range x is."""
    model, clips = LinearClassifier(), interior(threat)
    perturbed = attack(model, clips, threat, generator)
    for name, weights in zip(MODALITIES, (model.video, model.audio), strict=True):
        clean, moved = clips.stream(name), perturbed.stream(name)
        shift = -threat.epsilon(name) * weights.detach().sign().view(1, *clean.shape[1:]) * threat.support(clean)
        assert torch.allclose(moved, clean + shift, atol=1e-6)


@every_attack
def test_targeted_it_raises_the_score_of_the_target(attack: MomentumAttack) -> None:
    clips, model = trained().clips.select(torch.arange(16)), trained().surrogate
    targets = (clips.labels + 1) % 3
    aimed = type(attack).model_validate(attack.model_dump() | {"target": "given"})
    threat = ThreatModel(video=24 / 255, audio=24 / 255)
    perturbed = aimed(model, clips.with_targets(targets), threat, torch.Generator().manual_seed(0))
    with torch.no_grad():
        named = model(perturbed.video, perturbed.audio).logits.argmax(1)
    assert (named == targets).float().mean() > 0.9


@every_attack
def test_a_group_of_segments_that_share_the_gradient_moves_as_one(
    attack: MomentumAttack, generator: torch.Generator
) -> None:
    """Clips far from the box: all of a group's segments get the same perturbation."""
    shared = type(attack).model_validate(attack.model_dump() | {"sharing": Sharing(segments=2)})
    clips = interior(THREATS[0])
    perturbed = shared(LinearClassifier(), clips, THREATS[0], generator)
    for name in MODALITIES:
        delta = perturbed.stream(name) - clips.stream(name)
        assert torch.allclose(delta[:, 0], delta[:, 1], atol=1e-6)
        assert not torch.allclose(delta[:, 1], delta[:, 2], atol=1e-6)


@every_attack
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_double_precision_stays_double(
    attack: MomentumAttack, norm: str, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    clips = batch.with_streams(batch.video.double(), batch.audio.double()).select(torch.arange(2))
    threat = ThreatModel.model_validate(f"{norm}(video=0.1, audio=0.1)")
    perturbed = attack(model.double(), clips, threat, generator)
    assert perturbed.video.dtype == perturbed.audio.dtype == torch.float64
    assert (threat.distances(perturbed, clips)["video"] > 0.09).all()


class Watching(nn.Module):
    """Counts the gradients that are alive whenever the model is asked."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.most = 0

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        self.most = max(self.most, sum(type(thing) is Gradient for thing in gc.get_objects()))
        outputs: Outputs = self.classifier(video, audio)
        return outputs


@pytest.mark.parametrize(
    "attack",
    [
        MIG(steps=2, num_points=3),
        PAM(steps=2, num_baselines=2, num_scales=1),
        TT(steps=2, max_shift=1),
        VMIFGSM(steps=2, num_neighbours=3),
    ],
    ids=lambda attack: attack.name,
)
def test_gradients_at_many_points_are_added_one_at_a_time(
    attack: MomentumAttack, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Alive while the next one is computed: the sum so far, and the one that the last step followed."""
    watching = Watching(model)
    gc.freeze()  # what is alive by now need not be looked through at every pass
    try:
        attack(watching, batch, THREATS[0], generator)
    finally:
        gc.unfreeze()
    assert watching.most == 2
