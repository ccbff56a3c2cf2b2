from __future__ import annotations

import pytest
from pydantic import ValidationError

from evaluation.perceptibility.config import PerceptibilityConfig


@pytest.mark.parametrize(("frame_size", "factor"), [(32, 7), (31, 8), (112, 2), (224, 1), (300, 1)])
def test_small_frames_are_enlarged_to_224_pixels(frame_size: int, factor: int) -> None:
    """7 * 32 = 224; 7 * 31 = 217 is too small."""
    assert PerceptibilityConfig(evaluation="a", output="b").enlargement(frame_size) == factor
    assert PerceptibilityConfig(evaluation="a", output="b", enlarge=3).enlargement(frame_size) == 3


def test_a_storage_is_listed_once() -> None:
    with pytest.raises(ValidationError, match="jpeg_qualities: 90 is listed more than once; remove it"):
        PerceptibilityConfig(evaluation="a", output="b", jpeg_qualities=(90, 75, 90))
    with pytest.raises(ValidationError, match="aac_kbps: 64 is listed more than once"):
        PerceptibilityConfig(evaluation="a", output="b", aac_kbps=(64, 64))
