"""Shared and smoothed gradients: worked numbers, SciPy's convolution, and what neither may do."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import convolve

from training.attacks import MIFGSM
from training.attacks.engine.averaging import Smoothing, TemporalGroups, weights
from training.batch import MODALITIES, Batch
from training.models import Classifier
from training.threat import ThreatModel


def test_each_segment_gets_the_mean_of_its_group_and_the_last_group_may_be_smaller() -> None:
    """Groups of two of five segments: (1 + 3) / 2, (5 + 7) / 2, and 9 alone."""
    stream = torch.tensor([[1.0, 3.0, 5.0, 7.0, 9.0]])[..., None]
    assert TemporalGroups(segments=2).average(stream)[0, :, 0].tolist() == [2, 2, 6, 6, 9]
    assert TemporalGroups(segments=8).average(stream)[0, :, 0].tolist() == [5, 5, 5, 5, 5]


def test_groups_of_one_change_nothing() -> None:
    stream = torch.rand(2, 5, 3)
    assert TemporalGroups().average(stream) is stream


def test_a_part_of_the_gradient_is_shared_and_the_rest_is_its_own() -> None:
    """3/4 of the way from 1, 3 and 11 to their mean, 5."""
    stream = torch.tensor([[1.0, 3.0, 11.0]])[..., None]
    assert TemporalGroups(segments="all", strength=0.75).average(stream)[0, :, 0].tolist() == [4, 4.5, 6.5]


def test_all_segments_wholly_shared_are_one_large_group_and_strength_0_is_none() -> None:
    stream = torch.rand(2, 5, 3)
    whole = TemporalGroups(segments="all").average(stream)
    assert torch.equal(whole, TemporalGroups(segments=5).average(stream))
    assert TemporalGroups(segments="all", strength=0).average(stream) is stream


def test_one_perturbation_in_part_is_refused() -> None:
    with pytest.raises(ValidationError, match="set strength=1, or of=gradient"):
        TemporalGroups(segments=2, strength=0.5, of="perturbation")


@pytest.mark.parametrize("of", ["gradient", "perturbation"])
def test_segments_of_a_group_move_alike_inside_the_box(
    of: Literal["gradient", "perturbation"], model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    inside = batch.with_streams(batch.video / 2 + 0.25, batch.audio / 2 + 0.25)
    attack = MIFGSM(steps=3, sharing=TemporalGroups(segments=2, of=of))
    perturbed = attack(model, inside, ThreatModel(), generator)
    for name in MODALITIES:
        change = perturbed.stream(name) - inside.stream(name)
        assert torch.allclose(change[:, 0::2], change[:, 1::2], atol=1e-6)
        assert not torch.allclose(change[:, 0], change[:, 2], atol=1e-6)


def test_one_perturbation_is_cut_off_at_each_segments_own_box(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """What ends inside the box has moved by the group's whole perturbation, also where a neighbour could not."""
    threat = ThreatModel(video=0.2, audio=0.2)
    attack = MIFGSM(steps=4, sharing=TemporalGroups(segments=4, of="perturbation"))
    perturbed = attack(model, batch, threat, generator)
    for name in MODALITIES:
        moved, clean = perturbed.stream(name), batch.stream(name)
        free = (moved > 0) & (moved < 1)
        change = moved - clean
        largest = change.masked_fill(~free, -2.0).amax(1, keepdim=True)
        assert ((change - largest).abs() < 1e-5)[free].all()


def test_three_weights_are_those_of_a_gaussian_of_a_third_of_the_width() -> None:
    assert weights(3) == pytest.approx([0.2741, 0.4519, 0.2741], abs=1e-4)
    assert sum(weights(15)) == pytest.approx(1)


@pytest.mark.parametrize("width", [3, 5, 9])
@pytest.mark.parametrize("name", ["video", "audio"])
def test_it_is_the_convolution_of_every_plane_with_the_outer_product(name: str, width: int) -> None:
    """Also where the kernel is wider than the plane: 4 rows."""
    shape = (2, 3, 3, 4, 7) if name == "video" else (2, 3, 4, 7)
    stream = torch.rand(shape, dtype=torch.float64)
    found = Smoothing.model_validate({name: width}).smoothed(
        {"video": stream} if name == "video" else {"audio": stream}
    )
    kernel = np.outer(weights(width), weights(width)).reshape([1] * (len(shape) - 2) + [width, width])
    expected = convolve(stream.numpy(), kernel, mode="constant")
    assert np.allclose(next(iter(found.values())).numpy(), expected, atol=1e-12)


def test_a_width_of_one_and_a_waveform_change_nothing() -> None:
    video, waveform = torch.rand(2, 3, 3, 4, 4), torch.rand(2, 3, 50)
    found = Smoothing(audio=3).smoothed({"video": video, "audio": waveform})
    assert found["video"] is video
    assert found["audio"] is waveform


def test_segments_are_not_mixed() -> None:
    stream = torch.zeros(1, 3, 8, 8)
    stream[0, 1] = 1.0
    found = Smoothing(audio=5).smoothed({"audio": stream})["audio"]
    assert found[0, 0].abs().max() == found[0, 2].abs().max() == 0


@pytest.mark.parametrize("width", [0, 2, -3])
def test_a_kernel_without_a_middle_is_refused(width: int) -> None:
    with pytest.raises(ValidationError):
        Smoothing(video=width)
