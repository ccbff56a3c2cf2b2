"""What holds for every objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from tests.training.objectives.table import (
    OBJECTIVES,
    ROWS,
    double,
    every_objective,
    every_single_update,
    gradients,
    named,
    normalise_by_batch,
    run,
)
from training.batch import Batch
from training.models import Classifier
from training.objectives import (
    AWP,
    CRMTAT,
    AnyObjective,
    MinSim,
    Objective,
    Standard,
)
from training.objectives.base import SingleUpdate
from training.passes import Passes


@dataclass
class Seen:
    """What a model was asked while something ran."""

    frames: int = 0
    """Frames that went forward through the video encoder."""
    frames_back: int = 0
    """Frames whose features had a gradient sent back."""


def watch(model: Classifier) -> Seen:
    seen = Seen()

    def vjp(gradient: Tensor) -> None:
        seen.frames_back += len(gradient)

    def forward(module: nn.Module, arguments: tuple[Tensor], features: Tensor) -> None:
        seen.frames += len(arguments[0])
        if features.requires_grad:
            features.register_hook(vjp)  # type: ignore[no-untyped-call]

    model.video_encoder.register_forward_hook(forward)
    return seen


def test_the_table_holds_every_objective() -> None:
    assert {type(objective) for objective in ROWS} == set(get_args(get_args(AnyObjective)[0]))


def test_weights_can_be_perturbed_around_every_objective_of_one_update() -> None:
    single = {type(row) for row in ROWS if isinstance(row, SingleUpdate)}
    assert set(get_args(AWP.model_fields["objective"].annotation)) == single - {AWP}


@pytest.mark.parametrize("name", ["awp", "free_at"])
def test_weights_are_not_perturbed_twice_nor_between_replays(name: str) -> None:
    with pytest.raises(ValidationError, match=f"'{name}' found using 'name' does not match any of the expected tags"):
        AWP.model_validate({"objective": {"name": name}})


@every_objective
def test_an_objective_is_its_settings(objective: Objective) -> None:
    assert TypeAdapter(AnyObjective).validate_python(objective.model_dump()) == objective


@pytest.mark.parametrize(("objective", "first", "last"), OBJECTIVES, ids=[named(row) for row in ROWS])
def test_it_costs_what_it_says(
    objective: Objective, first: Passes, last: Passes, model: Classifier, batch: Batch
) -> None:
    """Counted at the video encoder, one pass being all 7 x 4 frames."""
    model.train()
    seen = watch(model)
    for progress, expected in ((0.0, first), (1.0, last)):
        seen.frames = seen.frames_back = 0
        run(objective, model, batch, progress=progress)
        said = objective.cost(progress=progress, num_segments=4)
        assert (said.forward, said.backward) == pytest.approx((expected.forward, expected.backward))
        assert (seen.frames / 28, seen.frames_back / 28) == pytest.approx((expected.forward, expected.backward))


@every_objective
def test_every_loss_is_a_finite_scalar_that_reaches_every_weight(
    objective: Objective, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    model.train()
    video, audio = batch.video.clone(), batch.audio.clone()
    names = set()
    num_losses = 0
    for loss in objective.losses(model, batch, progress=1.0, generator=generator):
        model.zero_grad()
        assert loss.total.shape == ()
        assert all(not part.requires_grad and part.shape == () and part.isfinite() for part in loss.parts.values())
        torch.autograd.backward(loss.total)
        assert all(bool(gradient.any()) and gradient.isfinite().all() for gradient in gradients(model).values())
        assert len(gradients(model)) == len(list(model.parameters()))
        names.add(tuple(loss.parts))
        num_losses += 1
    assert num_losses == objective.updates
    assert len(names) == 1
    assert "accuracy" in names.pop()
    assert torch.equal(batch.video, video)
    assert torch.equal(batch.audio, audio)


@every_single_update
def test_crafting_leaves_the_model_and_the_random_state_as_they_were(
    objective: SingleUpdate, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """One frozen layer is in evaluation mode while the rest trains."""
    normalise_by_batch(model)
    model.train()
    model.audio_encoder.eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    seed_state = generator.get_state()
    objective.prepare(model, batch, progress=0.5, generator=generator)
    assert [module.training for module in model.modules()] == modes
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(generator.get_state(), seed_state)


@every_objective
def test_only_the_losses_move_batch_statistics(objective: Objective, model: Classifier, batch: Batch) -> None:
    statistics = normalise_by_batch(model)
    model.train()
    run(objective, model, batch)
    assert statistics.num_batches_tracked is not None
    assert int(statistics.num_batches_tracked) == objective.updates


@every_objective
def test_the_generator_s_seed_decides_the_losses(objective: Objective, model: Classifier, batch: Batch) -> None:
    model.train()
    """Dropout included, whatever the global random state."""
    model.set_dropout(0.5)
    losses = [torch.stack(run(objective, model, batch, progress=0.5)) for _ in range(2)]
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    "objective", [row for row in ROWS if not isinstance(row, Standard | MinSim | CRMTAT)], ids=named
)
def test_another_seed_is_another_training(objective: Objective, model: Classifier, batch: Batch) -> None:
    last = [run(objective, model, batch, seed=seed)[-1] for seed in (1, 2)]
    assert not torch.equal(*last)


@every_objective
def test_the_order_of_the_clips_does_not_matter(objective: Objective, model: Classifier, batch: Batch) -> None:
    model.double()
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    totals = [torch.stack(run(objective, model, each)) for each in (double(batch), double(batch).select(order))]
    torch.testing.assert_close(*totals)


@every_objective
def test_a_broken_model_has_a_loss_that_is_not_finite_and_no_exception(
    objective: Objective, model: Classifier, batch: Batch
) -> None:
    with torch.no_grad():
        next(model.fusion.parameters()).fill_(torch.nan)
    assert not any(total.isfinite() for total in run(objective, model, batch))
