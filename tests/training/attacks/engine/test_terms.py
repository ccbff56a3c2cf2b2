from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.attacks.engine.terms import (
    agreement_as_printed,
    agreement_of_means,
    agreement_of_predictions,
    agreement_of_segments,
    consecutive_variation,
    normalised,
    variation_over_copies,
)

RIGHT_ANGLE = torch.tensor([[[2.0, 0.0], [0.0, 5.0]]])
STANDING = torch.tensor([[[3.0, 0.0], [1.0, 0.0]]])


def test_consecutive_variation_of_a_right_angle_is_two() -> None:
    """Unit vectors (1, 0) and (0, 1) are sqrt(2) apart at any length; sound that stands still halves the mean."""
    right_angle, standing = normalised(RIGHT_ANGLE), normalised(STANDING)
    assert consecutive_variation(right_angle, right_angle).tolist() == pytest.approx([2.0])
    assert consecutive_variation(right_angle, standing).tolist() == pytest.approx([1.0])


def test_raw_features_vary_by_their_lengths_too() -> None:
    """(2, 0) to (0, 5): 4 + 25 = 29. (3, 0) to (1, 0): 4. Mean 16.5."""
    assert consecutive_variation(RIGHT_ANGLE, STANDING).tolist() == pytest.approx([16.5])


def test_variation_over_copies_is_their_variance() -> None:
    """(2, 0) and (0, 0) lie 1 from their mean (1, 0), variance 1; (0, 5) and (0, 1) lie 2 from theirs, variance 4.

    Mean over both segments 2.5; sound that is the same in both copies halves it.
    """
    copy = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]])
    assert variation_over_copies([RIGHT_ANGLE, copy], [STANDING, STANDING]).tolist() == pytest.approx([1.25])


def test_agreement_of_means_is_a_cosine_of_mean_directions() -> None:
    """Directions average to (1, 1) / 2 in the picture; sound points along (1, 0): cosine of 45 degrees."""
    assert agreement_of_means(RIGHT_ANGLE, STANDING).tolist() == pytest.approx([math.sqrt(0.5)])
    assert agreement_of_means(STANDING, -STANDING).tolist() == pytest.approx([-1.0])


def test_agreement_of_segments_is_a_mean_of_cosines() -> None:
    """Cosines 1 in the first segment and 0 in the second: 0.5. What agrees on average need not agree at a moment."""
    swapped = RIGHT_ANGLE.flip(1)
    assert agreement_of_segments(RIGHT_ANGLE, STANDING).tolist() == pytest.approx([0.5])
    assert agreement_of_segments(RIGHT_ANGLE, swapped).tolist() == pytest.approx([0.0])
    assert agreement_of_means(RIGHT_ANGLE, swapped).tolist() == pytest.approx([1.0])


def test_agreement_of_predictions_is_the_chance_to_name_the_same_class() -> None:
    """Shares (3/4, 1/4) and (1/2, 1/2): 3/8 + 1/8 = 1/2. Shares (3/4, 1/4) twice: 9/16 + 1/16 = 5/8."""
    video, audio = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.0, 0.0]])
    assert agreement_of_predictions(video, audio).tolist() == pytest.approx([0.5])
    assert agreement_of_predictions(video, video).tolist() == pytest.approx([0.625])


def test_agreement_as_printed_is_one_over_the_product() -> None:
    """Means (1, 2.5) and (2, 0): product 2, printed value 2 / 4."""
    assert agreement_as_printed(RIGHT_ANGLE, STANDING).tolist() == pytest.approx([0.5])
    assert agreement_as_printed(RIGHT_ANGLE, 0 * STANDING).tolist() == [0.0]


def test_agreement_as_printed_points_the_wrong_way() -> None:
    """To make 1 / (f_a f_v) smaller is to make f_a f_v larger: the slopes have opposite signs."""
    video, audio = RIGHT_ANGLE.clone().requires_grad_(), STANDING
    (printed,) = torch.autograd.grad(agreement_as_printed(video, audio).sum(), video)
    (meant,) = torch.autograd.grad((video.mean(1) * audio.mean(1)).sum(), video)
    assert torch.cosine_similarity(printed.flatten(), meant.flatten(), dim=0) == pytest.approx(-1.0)


def two_copies(video: Tensor, audio: Tensor) -> Tensor:
    return variation_over_copies([video, video.flip(1).sin()], [audio, audio.square()])


@pytest.mark.parametrize(
    "term",
    [
        consecutive_variation,
        two_copies,
        agreement_of_means,
        agreement_of_segments,
        agreement_as_printed,
        lambda video, audio: agreement_of_predictions(video.sum(1), audio.sum(1)),
        lambda video, audio: consecutive_variation(normalised(video), normalised(audio)),
    ],
)
def test_a_term_has_the_slope_that_finite_differences_find(term: Callable[[Tensor, Tensor], Tensor]) -> None:
    source = torch.Generator().manual_seed(0)
    features = [torch.randn(2, 3, 4, generator=source, dtype=torch.float64).requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(term, features)
