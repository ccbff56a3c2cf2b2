from __future__ import annotations

import pytest
import torch

from tests.training.conftest import random_batch
from training.attacks import PGD, TMA
from training.attacks.base import frozen
from training.attacks.engine.ascent import Ascent
from training.attacks.engine.gradients import classification_gradient
from training.batch import MODALITIES, Batch, gather_segments
from training.crafting import (
    Crafting,
    SampleSharingGradients,
    craft,
    craft_mixed,
    drawn_attacks,
    nearest_sampled,
    num_sampled_segments,
    stratified_segments,
)
from training.models import Classifier
from training.threat import ThreatModel

KEYS = tuple(f"clip_{number}" for number in range(50))
CPU = torch.device("cpu")


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, 8), (0.5, 4), (0.25, 2), (0.01, 1), (0.3, 2)])
def test_a_ratio_samples_its_share_of_the_segments_and_at_least_one(ratio: float, expected: int) -> None:
    assert num_sampled_segments(8, ratio) == expected


@pytest.mark.parametrize(("num_segments", "num_sampled"), [(8, 2), (8, 3), (10, 4), (7, 7), (5, 1)])
def test_samples_are_spread_over_time_and_every_segment_has_its_turn(num_segments: int, num_sampled: int) -> None:
    index = stratified_segments(num_segments, num_sampled, KEYS * 4, torch.Generator().manual_seed(0), CPU)
    assert index.shape == (200, num_sampled)
    assert (index.diff(dim=1) > 0).all()
    assert set(index[:50].flatten().tolist()) == set(range(num_segments))
    edges = [stratum * num_segments // num_sampled for stratum in range(num_sampled + 1)]
    for stratum in range(num_sampled):
        assert (index[:, stratum] >= edges[stratum]).all()
        assert (index[:, stratum] < edges[stratum + 1]).all()


def test_each_segment_takes_the_nearest_sample() -> None:
    """Samples at 1 and 6 of eight: segments 0-3 take the first, 4-7 the second."""
    assert nearest_sampled(torch.tensor([[1, 6]]), 8).tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]


def test_a_segment_in_the_middle_of_two_samples_takes_the_earlier_one() -> None:
    """Segment 2 is two steps from the sample at 0 and two from that at 4; of 1, 3 and 5, segments 2 and 4 are ties."""
    assert nearest_sampled(torch.tensor([[0, 4]]), 5).tolist() == [[0, 0, 0, 1, 1]]
    assert nearest_sampled(torch.tensor([[1, 3, 5]]), 6).tolist() == [[0, 0, 0, 1, 1, 2]]


def test_ratio_one_is_the_attack_itself(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    attack, threat = PGD(steps=3), ThreatModel()
    one, other = craft(model, batch, attack, threat, generator), attack(model, batch, threat, generator)
    assert torch.equal(one.video, other.video)
    assert torch.equal(one.audio, other.audio)


@pytest.mark.parametrize("threat", [ThreatModel(), ThreatModel(norm="l2", video=0.3, audio=0.2)], ids=str)
def test_shared_perturbations_stay_inside_ball_and_box(
    threat: ThreatModel, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    perturbed = craft(model, batch, TMA(steps=2), threat, generator, crafting=Crafting(sampling_ratio=0.5))
    for modality, distance in threat.distances(perturbed, batch).items():
        stream = getattr(perturbed, modality)
        assert distance.max() <= getattr(threat, modality) + 1e-6
        assert stream.min() >= 0
        assert stream.max() <= 1


def test_neighbours_share_their_sample_s_perturbation(model: Classifier, generator: torch.Generator) -> None:
    """With one sample of four, every segment of an interior clip moves the same way, in both modalities."""
    noise = random_batch(3)
    clips = noise.with_streams(noise.video * 0.5 + 0.25, noise.audio * 0.5 + 0.25)
    perturbed = craft(model, clips, PGD(steps=2), ThreatModel(), generator, crafting=Crafting(sampling_ratio=0.25))
    for modality in MODALITIES:
        delta = getattr(perturbed, modality) - getattr(clips, modality)
        assert torch.allclose(delta, delta[:, :1].expand_as(delta), atol=1e-6)
        assert delta.abs().amax() > 0


def test_without_sharing_half_of_the_segments_stay_clean_and_the_same_move(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Two of four segments are attacked, the same of both modalities, and as they are when they share."""
    crafting = Crafting(sampling_ratio=0.5)
    apart = crafting.model_copy(update={"sharing": "none"})
    shared, alone = (
        craft(model, batch, PGD(steps=2), ThreatModel(), generator, crafting=each) for each in (crafting, apart)
    )
    is_moved = (alone.video != batch.video).flatten(2).any(2)
    assert is_moved.sum(1).tolist() == [2] * len(batch)
    assert torch.equal((alone.audio != batch.audio).flatten(2).any(2), is_moved)
    for modality in MODALITIES:
        assert torch.equal(alone.stream(modality)[is_moved], shared.stream(modality)[is_moved])


def test_a_sample_is_drawn_from_the_segments_that_may_be_touched(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    threat = ThreatModel.model_validate("linf(video=4/255, audio=4/255, segments=1-2)")
    perturbed = craft(model, batch, PGD(steps=2), threat, generator, crafting=Crafting(sampling_ratio=0.5))
    for modality in MODALITIES:
        delta = perturbed.stream(modality) - batch.stream(modality)
        assert delta[:, [0, 3]].count_nonzero() == 0
        assert (delta[:, 1:3].flatten(2).abs().amax(2) > 0).all()


def test_the_encoders_see_the_sampled_segments_only(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    frames = []
    hook = model.video_encoder.register_forward_hook(lambda _, arguments, __: frames.append(len(arguments[0])))
    craft(model, batch, PGD(steps=3), ThreatModel(), generator, crafting=Crafting(sampling_ratio=0.5))
    hook.remove()
    assert frames == [len(batch) * 2] * 3


def test_clips_draw_their_attack_by_key_and_epoch_with_these_probabilities() -> None:
    """Of 2000 clips with shares 0.2 and 0.5 about 600, 400 and 1000 draw the first, second and third attack."""
    keys = tuple(f"clip_{number}" for number in range(2000))
    drawn = drawn_attacks([0.2, 0.5], keys, torch.Generator().manual_seed(0))
    assert [drawn.count(number) / 2000 for number in range(3)] == pytest.approx([0.3, 0.2, 0.5], abs=0.04)
    assert drawn[::-1] == drawn_attacks([0.2, 0.5], keys[::-1], torch.Generator().manual_seed(0))
    assert drawn != drawn_attacks([0.2, 0.5], keys, torch.Generator().manual_seed(1))


def test_shares_of_one_leave_nothing_to_the_first_attack() -> None:
    assert set(drawn_attacks([0.5, 0.5], KEYS, torch.Generator())) == {1, 2}


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_each_clip_of_a_mixture_is_what_its_own_attack_makes_of_it(
    model: Classifier, batch: Batch, generator: torch.Generator, ratio: float
) -> None:
    attacks, shares = [PGD(steps=1), TMA(steps=2)], [0.5]
    threat = ThreatModel()
    mixed = craft_mixed(model, batch, attacks, shares, threat, generator, crafting=Crafting(sampling_ratio=ratio))
    drawn = drawn_attacks(shares, batch.keys, generator)
    assert set(drawn) == {0, 1}
    alone = [
        craft(model, batch, attack, threat, generator, crafting=Crafting(sampling_ratio=ratio)) for attack in attacks
    ]
    for row, number in enumerate(drawn):
        for name in MODALITIES:
            torch.testing.assert_close(mixed.stream(name)[row], alone[number].stream(name)[row])


@pytest.mark.parametrize(
    ("threat", "ratio", "expected"),
    [
        ("linf(video=0.1)", 0.25, 0.25),
        ("linf(video=0.1)", 1.0, 1.0),
        ("linf(video=0.1, segments=0-3)", 0.5, 0.25),
        ("linf(video=0.1, segments=0-3)", 1.0, 1.0),
    ],
)
def test_the_share_of_segments_that_is_encoded(threat: str, ratio: float, expected: float) -> None:
    """Of eight segments; half of the four that may be touched are two of eight, all four need the whole clip."""
    assert Crafting(sampling_ratio=ratio).share(ThreatModel.model_validate(threat), 8) == expected


INDEX = torch.tensor([[0, 2], [1, 3], [1, 2]])


@pytest.fixture
def clips() -> Batch:
    """Three clips of four segments."""
    return random_batch(3)


def test_every_segment_gets_the_gradient_of_its_nearest_sample(model: Classifier, clips: Batch) -> None:
    """Samples at 0 and 2 of the first clip: segments 0 and 1 follow the first of them, 2 and 3 the second."""
    nearest = nearest_sampled(INDEX, 4)
    view = SampleSharingGradients(model, INDEX, nearest)
    with frozen(view):
        found = classification_gradient()(view, clips, MODALITIES)
        alone = classification_gradient()(model, clips.select_segments(INDEX), MODALITIES)
    assert nearest[0].tolist() == [0, 0, 1, 1]
    for name in MODALITIES:
        assert torch.equal(found.streams[name], gather_segments(alone.streams[name], nearest))


def test_with_a_shared_gradient_every_segment_keeps_its_own_start(model: Classifier, clips: Batch) -> None:
    """Far from all borders a step of a tenth leaves neighbours as far apart as their random starts were."""
    inner = clips.with_streams(clips.video / 2 + 0.25, clips.audio / 2 + 0.25)
    view = SampleSharingGradients(model, INDEX, nearest_sampled(INDEX, 4))
    threat, generator = ThreatModel(), torch.Generator().manual_seed(0)
    starts = Ascent(steps=0, step_size=0.0, random_start=True)(
        view, inner, threat, generator, classification_gradient()
    )
    perturbed = PGD(steps=1, step_size=0.1)(view, inner, threat, generator)
    step = perturbed.video - starts.video
    is_inside = (perturbed.video - inner.video).abs() < 0.999 * threat.video
    both = is_inside[0, 0] & is_inside[0, 1]
    assert both.float().mean() > 0.5
    torch.testing.assert_close(step[0, 0][both], step[0, 1][both])
    assert not torch.allclose(starts.video[0, 0], starts.video[0, 1])


def test_the_terms_of_tma_move_every_segment_by_a_shared_gradient(model: Classifier, clips: Batch) -> None:
    view = SampleSharingGradients(model, INDEX, nearest_sampled(INDEX, 4))
    perturbed = TMA(steps=2)(view, clips, ThreatModel(), torch.Generator().manual_seed(0))
    for name in MODALITIES:
        assert ((perturbed.stream(name) - clips.stream(name)).flatten(2).abs().amax(2) > 0).all()
