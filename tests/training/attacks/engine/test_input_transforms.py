"""Gradients at transformed copies of a clip, against plain automatic differentiation; what transformations do."""

from __future__ import annotations

import torch
from torch.nn import functional

from training.attacks import MIFGSM
from training.attacks.engine.gradients import classification_gradient
from training.attacks.engine.input_transforms import (
    Admix,
    AnyInputTransform,
    DiverseInputs,
    ScaledInputs,
    at_transformed_inputs,
    num_copies,
    resized,
)
from training.batch import MODALITIES, Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_the_gradient_is_that_of_the_mean_loss_over_all_copies(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Six copies, by a graph through transformations and model together."""
    model.eval()
    transforms: tuple[AnyInputTransform, ...] = (
        Admix(copies=2),
        DiverseInputs(probability=1.0),
        ScaledInputs(copies=3),
    )
    found = at_transformed_inputs(classification_gradient(), transforms, generator)(model, batch, MODALITIES)
    video, audio = batch.video.clone().requires_grad_(), batch.audio.clone().requires_grad_()
    fresh = batch.with_streams(video, audio)
    losses = []
    for mixed in range(2):
        for scaled in range(3):
            copy = transforms[0](fresh, mixed, generator, "admix 1 0 ()")
            copy = transforms[1](copy, 0, generator, f"di 1 1 ({mixed},)")
            copy = transforms[2](copy, scaled, generator, "")
            logits = model(copy.video, copy.audio).logits
            losses.append(functional.cross_entropy(logits, batch.labels, reduction="sum"))
    expected = torch.autograd.grad(torch.stack(losses).mean(), [video, audio])
    for name, right in zip(MODALITIES, expected, strict=True):
        scale = found.log_scale.exp().reshape(-1, *([1] * (right.dim() - 1)))
        assert torch.allclose(scale * found.streams[name], right, rtol=1e-3, atol=1e-3 * float(right.abs().max()))


def test_resized_clips_are_what_grid_sampling_makes_of_them(batch: Batch, generator: torch.Generator) -> None:
    """Half of the size at the top left, the middle and the bottom right, away from the seams."""
    stream = torch.rand(3, 2, 3, 12, 12)
    size, place = torch.full((3,), 0.5), torch.tensor([0.0, 0.5, 1.0])
    found = resized(resized(stream, size, place, -2), size, place, -1)
    shift = -2 * (place - 0.5)  # of the middle, in half sides of the smaller picture
    theta = torch.zeros(3, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 2.0
    theta[:, 0, 2] = theta[:, 1, 2] = shift
    grid = functional.affine_grid(theta, [3, 6, 12, 12], align_corners=False)
    right = functional.grid_sample(stream.flatten(1, 2), grid, align_corners=False, padding_mode="border")
    inside = (grid.abs() <= 1).all(-1)[:, None]
    assert torch.allclose(found.flatten(1, 2), right * inside, atol=1e-5)
    assert inside.flatten(1).sum(1).tolist() == [36, 36, 36]


def test_only_some_clips_are_resized_all_frames_alike(batch: Batch, generator: torch.Generator) -> None:
    still = batch.with_streams(torch.ones_like(batch.video), torch.ones_like(batch.audio))
    copies = [DiverseInputs(smallest=0.5)(still, 0, generator, f"step {step}") for step in range(20)]
    shares = torch.stack([copy.video.mean((2, 3, 4)) for copy in copies])
    assert torch.equal(shares[..., 0], shares[..., 1]), "segments of one clip have different sizes"
    assert 0.2 < float((shares == 1).float().mean()) < 0.8
    assert float(shares.min()) >= 0.5**2 - 0.1


def test_a_clip_is_transformed_alike_in_any_batch(batch: Batch, generator: torch.Generator) -> None:
    for transform in (DiverseInputs(), ScaledInputs(), Admix()):
        whole = transform(batch, 1, generator, "step 1")
        alone = transform(batch.select(torch.tensor([1])), 1, generator, "step 1")
        for name in MODALITIES:
            assert torch.equal(whole.stream(name)[1:2], alone.stream(name))


def test_scaled_copies_are_halved_again_and_again(batch: Batch, generator: torch.Generator) -> None:
    assert torch.equal(ScaledInputs()(batch, 0, generator, "").video, batch.video)
    assert torch.equal(ScaledInputs()(batch, 2, generator, "").audio, batch.audio / 4)


def test_admix_adds_another_segment_of_the_clip(batch: Batch, generator: torch.Generator) -> None:
    added = (Admix(share=0.5)(batch, 0, generator, "").video - batch.video) / 0.5
    for clip in range(len(batch)):
        distances = [
            distance
            for distance in range(1, batch.num_segments)
            if torch.allclose(added[clip], batch.video[clip].roll(-distance, 0), atol=1e-5)
        ]
        assert len(distances) == 1
    single = batch.select_segments(torch.zeros(len(batch), 1, dtype=torch.long))
    assert torch.equal(Admix()(single, 0, generator, "").video, single.video)


def test_transformations_that_leave_the_clip_are_mi_fgsm_bit_for_bit(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    plain = MIFGSM(steps=3)(model, batch, ThreatModel(), generator)
    for transforms in ((DiverseInputs(probability=0.0),), (ScaledInputs(copies=1),)):
        found = MIFGSM(steps=3, input_transforms=transforms)(model, batch, ThreatModel(), generator)
        assert torch.equal(found.video, plain.video)
        assert torch.equal(found.audio, plain.audio)
    moved = MIFGSM(steps=3, input_transforms=(DiverseInputs(),))(model, batch, ThreatModel(), generator)
    assert not torch.equal(moved.video, plain.video)


def test_copies_multiply() -> None:
    assert num_copies(()) == 1
    assert num_copies((Admix(copies=3), DiverseInputs(), ScaledInputs(copies=5))) == 15
    assert MIFGSM(steps=4, input_transforms=(Admix(copies=3), ScaledInputs(copies=5))).cost.backward == 60
