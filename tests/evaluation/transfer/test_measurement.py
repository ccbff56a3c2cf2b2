"""Clips attacked on one model, or on several together, and tried on others: real models, real attacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from evaluation.planning.plan import Measurement
from evaluation.tasks.crafting import attack_checked
from evaluation.tasks.measurement import predict
from evaluation.transfer.measurement import NamedModels, TransferPiece, measure_transfer
from evaluation.transfer.outcomes import Outcomes
from evaluation.transfer.plan import Crafting
from evaluation.transfer.surrogates import Surrogate, surrogates_of
from tests.evaluation.conftest import in_batches, make_clips
from tests.evaluation.transfer.conftest import named, trained
from training.attacks import FGSM, MIFGSM, Attack
from training.batch import Batch
from training.threat import ThreatModel

THREAT = ThreatModel(video=12 / 255, audio=12 / 255)


def crafting(surrogate: Surrogate, attack: Attack) -> Crafting:
    return Crafting(attack.name, surrogate, Measurement(attack, THREAT, surrogate=surrogate.name))


def measured(
    models: NamedModels, clips: Batch, craftings: Sequence[Crafting], *, batch_size: int = 16
) -> list[TransferPiece]:
    found = measure_transfer(models, in_batches(clips, batch_size), craftings, seed=0)
    return sorted(found, key=lambda piece: piece.position)


def joined(pieces: Sequence[TransferPiece]) -> Outcomes:
    return Outcomes.joined([piece.outcomes for piece in pieces])


@pytest.fixture(scope="module")
def ensemble() -> Surrogate:
    return surrogates_of(["A", "B"], ["A", "B", "C"], [["A", "B"]])[2]


def test_the_gradient_of_an_ensemble_is_that_of_the_mean_of_the_logits(
    three_models: NamedModels, ensemble: Surrogate, few_clips: Batch
) -> None:
    """By hand: cross-entropy of (logits of A + logits of B) / 2, differentiated by torch."""
    by_hand = gradient(
        few_clips, lambda video, audio: sum(three_models.models[name](video, audio).logits for name in "AB") / 2
    )
    source = three_models.source(ensemble)
    found = gradient(few_clips, lambda video, audio: source(video, audio).logits)
    for one, other in zip(found, by_hand, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-8)
    alone = gradient(few_clips, lambda video, audio: three_models.models["A"](video, audio).logits)
    assert functional.cosine_similarity(alone[0].flatten(), by_hand[0].flatten(), dim=0) < 0.99


def test_fgsm_on_an_ensemble_steps_along_that_gradient(
    three_models: NamedModels, ensemble: Surrogate, few_clips: Batch
) -> None:
    """x' = x + epsilon sign g wherever the box leaves room and the gradient is not faint."""
    by_hand = gradient(
        few_clips, lambda video, audio: sum(three_models.models[name](video, audio).logits for name in "AB") / 2
    )
    source = three_models.source(ensemble)
    found = attack_checked(source, few_clips, crafting(ensemble, FGSM()).measurement, seed=0)
    perturbed = found.applied(few_clips, THREAT)
    for change, slope, clean in (
        (perturbed.video - few_clips.video, by_hand[0], few_clips.video),
        (perturbed.audio - few_clips.audio, by_hand[1], few_clips.audio),
    ):
        expected = THREAT.video * slope.sign()
        is_plain = (slope.abs() > 1e-3 * slope.abs().max()) & ((clean + expected) == (clean + expected).clamp(0, 1))
        assert is_plain.float().mean() > 0.3
        torch.testing.assert_close(change[is_plain], expected[is_plain], atol=1e-5, rtol=0.0)


def gradient(batch: Batch, logits: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
    video, audio = batch.video.clone().requires_grad_(), batch.audio.clone().requires_grad_()
    loss = functional.cross_entropy(logits(video, audio), batch.labels, reduction="sum")
    return torch.autograd.grad(loss, (video, audio))


def test_a_row_says_what_surrogate_and_victim_make_of_a_clip(three_models: NamedModels, clips: Batch) -> None:
    """Against predictions made here: of the untouched clip by both, and of the attacked one by the victim."""
    [surrogate] = surrogates_of(["A"], ["A", "C"], [])
    one = crafting(surrogate, MIFGSM(steps=4))
    rows = joined(measured(three_models, clips, [one], batch_size=48)).table.to_pylist()
    assert [row["victim"] for row in rows] == ["A"] * 48 + ["C"] * 48
    perturbed = attack_checked(three_models.models["A"], clips, one.measurement, seed=0).applied(clips, THREAT)
    right = {name: (predict(model, clips) == clips.labels).tolist() for name, model in three_models.models.items()}
    for victim, its_rows in (("A", rows[:48]), ("C", rows[48:])):
        asked = predict(three_models.models[victim], perturbed)
        assert [row["perturbed_prediction"] for row in its_rows] == asked.tolist()
        assert [row["surrogate_right"] for row in its_rows] == right["A"]
        assert [row["victim_right"] for row in its_rows] == right[victim]
        both = [one and other for one, other in zip(right["A"], right[victim], strict=True)]
        wrong = (asked != clips.labels).tolist()
        assert [row["fooled"] for row in its_rows] == [
            is_wrong if counts else None for is_wrong, counts in zip(wrong, both, strict=True)
        ]
        assert all(0 < row["distance_video"] <= THREAT.video * 1.0001 for row in its_rows)
        assert {row["victim_sha256"] for row in its_rows} == {three_models.sha256[victim]}
    assert any(row["fooled"] for row in rows[48:]), "an attack that never transfers tests nothing"


def test_of_an_ensemble_every_member_has_the_clip_right(
    three_models: NamedModels, ensemble: Surrogate, clips: Batch
) -> None:
    rows = joined(measured(three_models, clips, [crafting(ensemble, FGSM())], batch_size=48)).table.to_pylist()
    right = [(predict(three_models.models[name], clips) == clips.labels).tolist() for name in "AB"]
    assert [row["surrogate_right"] for row in rows[:48]] == [a and b for a, b in zip(*right, strict=True)]


def test_batches_of_another_size_give_the_same_outcomes(
    three_models: NamedModels, ensemble: Surrogate, clips: Batch
) -> None:
    craftings = [crafting(ensemble, MIFGSM(steps=3)), crafting(ensemble, FGSM())]
    outcomes = [dict(joined(measured(three_models, clips, craftings, batch_size=size)).cells()) for size in (7, 48)]
    assert outcomes[0].keys() == outcomes[1].keys()
    for place, rows in outcomes[0].items():
        for name in ("key", "perturbed_prediction", "fooled"):
            assert rows.table[name].to_pylist() == outcomes[1][place].table[name].to_pylist(), place


def test_pieces_that_are_kept_are_not_measured_again(three_models: NamedModels, few_clips: Batch) -> None:
    craftings = [crafting(each, FGSM()) for each in surrogates_of(["A", "B"], ["C"], [])]
    found = measure_transfer(
        three_models, in_batches(few_clips, 8), craftings, seed=0, first_batch=5, kept={(0, 5), (0, 6), (1, 6)}
    )
    assert [piece.position for piece in found] == [(1, 5)]


@pytest.mark.slow
def test_batch_normalisation_is_left_as_it_is_alone_and_in_an_ensemble() -> None:
    """A resnet18: its running statistics stay, and a clip's outcome does not depend on the clips beside it."""
    models = named({"A": trained(1), "R": trained(4, encoder="resnet18")})
    clips = make_clips(12, seed=7)
    before = {name: tensor.clone() for name, tensor in models.models["R"].state_dict().items()}
    craftings = [crafting(each, MIFGSM(steps=2)) for each in surrogates_of(["R"], ["A", "R"], [["A", "R"]])]
    together, apart = (joined(measured(models, clips, craftings, batch_size=size)) for size in (12, 5))
    after = models.models["R"].state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert any("running_mean" in name for name in before)
    assert not models.models["R"].training
    for place, rows in together.cells():
        other = dict(apart.cells())[place]
        assert rows.table["perturbed_prediction"].to_pylist() == other.table["perturbed_prediction"].to_pylist()
    white_box = dict(together.cells())["mifgsm", "R", "R"]
    assert white_box.is_fooled.sum() > 0
