from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor, nn

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.targets import THREATS as EVERY_THREAT
from tests.training.attacks.targets import classifier, random_clips
from tests.training.attacks.trained import trained
from training.attacks import FGSM, IFGSM, MIFGSM, MIG, NIFGSM, PAM, TSI, TT, VMIFGSM
from training.attacks.base import MomentumAttack
from training.attacks.engine.averaging import Smoothing, TemporalGroups
from training.attacks.engine.gradients import Gradient
from training.batch import MODALITIES, Batch
from training.models import Classifier, Outputs
from training.threat import ThreatModel


def test_mifgsm_without_momentum_is_ifgsm_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    one, other = (
        attack(model, batch, ThreatModel(), generator) for attack in (MIFGSM(steps=5, momentum=0.0), IFGSM(steps=5))
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_mifgsm_steps_follow_the_published_recursion(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """m = mu m + g / mean|g|, x = P(x + epsilon / K sign m), written out for one modality."""
    steps, epsilon, momentum = 4, 0.05, 0.7
    found = MIFGSM(steps=steps, momentum=momentum)(model, batch, ThreatModel(video=epsilon, audio=0.0), generator)
    model.eval()
    expected, velocity = batch.video, torch.zeros_like(batch.video)
    for _ in range(steps):
        leaf = expected.detach().requires_grad_()
        loss = nn.functional.cross_entropy(model(leaf, batch.audio).logits, batch.labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
        velocity = momentum * velocity + gradient / gradient.abs().mean((1, 2, 3, 4), keepdim=True)
        moved = expected + epsilon / steps * velocity.sign()
        expected = moved.clamp(batch.video - epsilon, batch.video + epsilon).clamp(0, 1)
    assert ((found.video - expected).abs() > 1e-6).float().mean() < 1e-3


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
    shared = type(attack).model_validate(attack.model_dump() | {"sharing": TemporalGroups(segments=2)})
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


@pytest.mark.parametrize("threat", ["linf(video=4/255, audio=4/255)", "l2(video=0.5, audio=0.3)"])
def test_nifgsm_without_momentum_is_ifgsm_bit_for_bit(
    threat: str, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    one, other = (
        attack(model, batch, ThreatModel.model_validate(threat), generator)
        for attack in (NIFGSM(steps=5, momentum=0.0), IFGSM(steps=5))
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_one_step_has_nothing_to_look_ahead_to_and_is_fgsm_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    one, other = (attack(model, batch, ThreatModel(), generator) for attack in (NIFGSM(steps=1), FGSM()))
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_nifgsm_steps_follow_the_published_recursion(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """m = mu m + g / mean|g| with g at x + alpha mu m, x = P(x + alpha sign m), written out for both modalities."""
    steps, momentum = 4, 0.7
    threat = ThreatModel(video=0.05, audio=0.03)
    found = NIFGSM(steps=steps, momentum=momentum)(model, batch, threat, generator)
    model.eval()
    expected = {name: batch.stream(name) for name in MODALITIES}
    velocity = {name: torch.zeros_like(stream) for name, stream in expected.items()}
    alpha = {name: threat.epsilon(name) / steps for name in MODALITIES}
    for _ in range(steps):
        ahead = {
            name: (expected[name] + alpha[name] * momentum * velocity[name]).requires_grad_() for name in MODALITIES
        }
        loss = nn.functional.cross_entropy(model(**ahead).logits, batch.labels, reduction="sum")
        for name, gradient in zip(MODALITIES, torch.autograd.grad(loss, list(ahead.values())), strict=True):
            size = gradient.abs().flatten(1).mean(1).view(-1, *[1] * (gradient.dim() - 1))
            velocity[name] = momentum * velocity[name] + gradient / size
            clean, epsilon = batch.stream(name), threat.epsilon(name)
            moved = expected[name] + alpha[name] * velocity[name].sign()
            expected[name] = moved.clamp(clean - epsilon, clean + epsilon).clamp(0, 1)
    for name in MODALITIES:
        assert ((found.stream(name) - expected[name]).abs() > 1e-6).float().mean() < 1e-3


class Valley(nn.Module):
    """Logits (s, -s) with s = (x - lowest)^2 summed over the frames' values: the loss of class 0 is highest there."""

    def __init__(self, lowest: float) -> None:
        super().__init__()
        self.lowest = lowest

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        score = (video - self.lowest).square().flatten(1).sum(1)
        return Outputs(torch.stack([score, -score], 1))


@pytest.mark.parametrize(
    ("attack", "momentum", "lowest", "reached"),
    [
        (NIFGSM, 0.5, 0.57, 0.50),
        (NIFGSM, 0.5, 0.58, 0.60),
        (NIFGSM, 1.0, 0.59, 0.55),
        (NIFGSM, 0.25, 0.56, 0.50),
        (NIFGSM, 0.25, 0.57, 0.60),
        (MIFGSM, 0.5, 0.57, 0.60),
        (MIFGSM, 0.5, 0.56, 0.60),
    ],
)
def test_the_gradient_is_taken_where_the_momentum_leads(
    attack: type[MomentumAttack], momentum: float, lowest: float, reached: float, generator: torch.Generator
) -> None:
    """Values at 0.5, a budget of 0.1, two steps of 0.05: the first leads to 0.55, with m = 1.

    The second looks at 0.55 + 0.05 mu, which is 0.575 for mu = 0.5. Behind the highest loss the gradient there is
    negative: m = mu - 1, so the step goes back to 0.5, or nowhere for mu = 1. In front of it the step goes on to 0.6.
    MI-FGSM looks at 0.55 itself.
    """
    clip = Batch(torch.full((1, 1, 3, 1, 1), 0.5), torch.zeros(1, 1, 1, 1), torch.zeros(1).long(), ("clip",))
    found = attack.model_validate({"steps": 2, "momentum": momentum})(
        Valley(lowest), clip, ThreatModel(video=0.1, audio=0.0), generator
    )
    torch.testing.assert_close(found.video, torch.full_like(clip.video, reached), rtol=0, atol=1e-6)


def test_it_fools_its_own_model_and_a_stranger_more_than_noise_does() -> None:
    own, others = trained().under(NIFGSM(steps=4))
    assert min(trained().under_noise()) > 0.95
    assert own < 0.1
    assert others < 0.9


@pytest.mark.parametrize("threat", EVERY_THREAT.values(), ids=str)
def test_without_its_three_settings_it_is_mifgsm_bit_for_bit(threat: ThreatModel) -> None:
    bare = TSI(steps=4, step_size=1 / 4, smoothing=Smoothing(), sharing=TemporalGroups())
    one, other = (
        attack(classifier(), random_clips(threat, 3), threat, torch.Generator().manual_seed(0))
        for attack in (bare, MIFGSM(steps=4))
    )
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


def test_its_steps_follow_the_recursion(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """Smooth, share half, accumulate, step by 2 epsilon / K: written out with a library's convolution for the video."""
    steps, epsilon = 5, 0.05
    found = TSI(steps=steps)(model, batch, ThreatModel(video=epsilon, audio=0.0), generator)
    model.eval()
    line = torch.tensor([0.2741, 0.4519, 0.2741])
    kernel = torch.outer(line, line).expand(3, 1, 3, 3)
    expected, velocity = batch.video, torch.zeros_like(batch.video)
    for _ in range(steps):
        leaf = expected.detach().requires_grad_()
        loss = nn.functional.cross_entropy(model(leaf, batch.audio).logits, batch.labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
        planes = nn.functional.conv2d(gradient.flatten(0, 1), kernel, padding=1, groups=3).view_as(gradient)
        shared = planes / 2 + planes.mean(1, keepdim=True) / 2
        velocity = velocity + shared / shared.abs().mean((1, 2, 3, 4), keepdim=True)
        moved = expected + 2 * epsilon / steps * velocity.sign()
        expected = moved.clamp(batch.video - epsilon, batch.video + epsilon).clamp(0, 1)
    assert ((found.video - expected).abs() > 1e-6).float().mean() < 5e-3
