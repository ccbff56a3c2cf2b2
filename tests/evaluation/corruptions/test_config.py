from __future__ import annotations

import pytest
from pydantic import ValidationError

from evaluation.corruptions.config import CorruptionsConfig
from evaluation.corruptions.kinds.listing import CO_OCCURRING, CORRUPTIONS, NAMES


def settings(**changes: object) -> CorruptionsConfig:
    return CorruptionsConfig.model_validate({"checkpoint": "c", "data": "d", "output": "o", **changes})


def test_all_fifteen_and_both_maskings_are_measured_at_five_severities_unless_told_otherwise() -> None:
    config = settings()
    assert config.corruptions == NAMES == tuple(CORRUPTIONS)
    assert all(corruption.name == name for name, corruption in CORRUPTIONS.items())
    assert sum(CORRUPTIONS[name].group in CO_OCCURRING for name in config.corruptions) == 15
    assert config.severities == (1, 2, 3, 4, 5)
    assert config.perturbed == ("both", "video", "audio")


def test_nine_corruptions_take_recordings() -> None:
    """Weather, water and people but for the device that is tampered with; a digital noise is made, not recorded."""
    expected = ("snow", "frost", "spatter", "wind", "rain", "underwater", "concert", "smoke", "crowd")
    assert settings().noisy == expected
    assert settings(corruptions=("gaussian", "crowd")).noisy == ("crowd",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corruptions": ["rain", "snow", "rain"]}, "corruptions: rain is listed more than once"),
        ({"perturbed": ["both", "both"]}, "perturbed: both is listed more than once"),
        ({"severities": [1, 3, 2]}, "severities: must rise without repetition"),
        ({"severities": [0]}, "severities"),
        ({"severities": []}, "severities"),
        ({"corruptions": ["hail"]}, "corruptions"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**changes)
