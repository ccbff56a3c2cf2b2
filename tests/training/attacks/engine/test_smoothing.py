"""The smoothed gradient, against SciPy's convolution and against what smoothing must not do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import convolve

from training.attacks.engine.smoothing import Smoothing, weights


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
