from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.targets import Counted
from tests.training.conftest import random_batch
from training.attacks import FGSM, PGD, AnyAttack, MinimalBudget
from training.attacks.engine.best_attempt import measured_margin
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel

RATIOS = ThreatModel(video=0.02, audio=0.05)


def scored(model: LinearClassifier, *, num_clips: int = 16) -> tuple[Batch, Tensor]:
    """Clips inside the box, labelled as the model does, and the factor of `RATIOS` at which each is a tie.

    |s| / (epsilon_v ||w_v||_1 + epsilon_a ||w_a||_1).
    """
    noise = random_batch(num_clips)
    clips = noise.with_streams(noise.video.double() / 2 + 0.25, noise.audio.double() / 2 + 0.25)
    logits = model(clips.video, clips.audio).logits.detach()
    gains = [RATIOS.epsilon(name) * getattr(model, name).detach().abs().sum() for name in MODALITIES]
    return Batch(clips.video, clips.audio, logits.argmax(1), clips.keys), logits[:, 0].abs() / (gains[0] + gains[1])


@pytest.mark.parametrize("rounds", [1, 4, 8])
def test_on_a_linear_model_the_factor_is_the_closed_form_rounded_up_to_the_grid(
    rounds: int, generator: torch.Generator
) -> None:
    """FGSM is the optimum, so the smallest multiple of 2^-rounds above the tie fools; half of the clips need more."""
    model = LinearClassifier().double()
    clips, ties = scored(model)
    half = float(ties.median()) * 1.01
    attack = MinimalBudget(attack=FGSM(), rounds=rounds)
    factors = attack.smallest_factors(model, clips, RATIOS.scaled(half), generator)
    above = factors - ties / half
    is_enough = ties < half
    assert is_enough.sum() == 8
    assert torch.equal(factors.isfinite(), is_enough)
    assert (above[is_enough] > 0).all()
    assert (above[is_enough] <= 2.0**-rounds).all()
    assert torch.equal(factors[is_enough] * 2**rounds, (factors[is_enough] * 2**rounds).round())


def test_clips_are_perturbed_within_their_smallest_budget_and_fooled(generator: torch.Generator) -> None:
    model = LinearClassifier().double()
    clips, ties = scored(model)
    threat = RATIOS.scaled(float(ties.max()) * 1.5)
    attack = MinimalBudget(attack=PGD(steps=5), rounds=5)
    factors = attack.smallest_factors(model, clips, threat, generator)
    perturbed = attack(model, clips, threat, generator)
    assert (measured_margin(model, perturbed) > 0).all()
    for name, distance in threat.distances(perturbed, clips).items():
        assert (distance <= factors * threat.epsilon(name) * (1 + 1e-9)).all()
    assert factors.unique().numel() > 4  # type: ignore[no-untyped-call]


def test_a_clip_that_is_wrong_untouched_needs_nothing(generator: torch.Generator) -> None:
    model = LinearClassifier().double()
    clips, _ = scored(model)
    wrong = Batch(
        clips.video, clips.audio, torch.where(torch.arange(16) < 5, 1 - clips.labels, clips.labels), clips.keys
    )
    factors = MinimalBudget(attack=FGSM(), rounds=3).smallest_factors(model, wrong, RATIOS.scaled(100.0), generator)
    assert torch.equal(factors == 0, torch.arange(16) < 5)


def test_where_the_full_budget_does_not_suffice_the_attempt_that_had_all_of_it_is_returned(
    generator: torch.Generator,
) -> None:
    model = LinearClassifier().double()
    clips, ties = scored(model)
    threat = RATIOS.scaled(0.5 * float(ties.min()))
    attack = MinimalBudget(attack=FGSM(), rounds=3)
    perturbed, at_full = attack(model, clips, threat, generator), FGSM()(model, clips, threat, generator)
    assert torch.equal(perturbed.video, at_full.video)
    assert attack.smallest_factors(model, clips, threat, generator).isinf().all()


def test_clips_that_withstand_the_full_budget_are_not_searched(generator: torch.Generator) -> None:
    """Clean look, attack and its look: 3 passes; each of 3 rounds costs the 8 clips that are fooled 2 more."""
    model = LinearClassifier().double()
    clips, ties = scored(model)
    counted = Counted(model)
    threat = RATIOS.scaled(float(ties.median()) * 1.01)
    MinimalBudget(attack=FGSM(), rounds=3)(counted, clips, threat, generator)
    assert counted.forward_passes == 3 * 16 + 3 * 2 * 8


@pytest.mark.parametrize("attack", [FGSM(), PGD(steps=2)], ids=["fgsm", "pgd"])
def test_searching_clips_together_is_searching_each_alone(attack: AnyAttack, generator: torch.Generator) -> None:
    model = LinearClassifier().double()
    clips, ties = scored(model, num_clips=5)
    search = MinimalBudget(attack=attack, rounds=4)
    threat = RATIOS.scaled(float(ties.max()) * 1.2)
    together = search.smallest_factors(model, clips, threat, generator)
    alone = [search.smallest_factors(model, clips.select(torch.tensor([row])), threat, generator) for row in range(5)]
    assert torch.equal(together, torch.cat(alone))


def test_the_model_is_left_in_its_mode_by_a_search_for_factors(generator: torch.Generator) -> None:
    model = LinearClassifier().double().train()
    clips, _ = scored(model, num_clips=2)
    MinimalBudget(attack=FGSM(), rounds=1).smallest_factors(model, clips, RATIOS, generator)
    assert model.training
    assert model.video.requires_grad


def test_sound_in_another_domain_is_refused(generator: torch.Generator) -> None:
    model = LinearClassifier().double()
    clips, _ = scored(model, num_clips=2)
    threat = ThreatModel(audio_domain="waveform")
    with pytest.raises(ValueError, match="is about the waveform"):
        MinimalBudget(attack=FGSM()).smallest_factors(model, clips, threat, generator)
