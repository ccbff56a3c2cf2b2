from __future__ import annotations

import pytest
from pydantic import ValidationError

from evaluation.prediction.config import PredictConfig
from training.attacks import WorstCase


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"output": "found.txt"}, r"a file that ends in \.csv or \.json"),
        ({"threat": "linf(video=0)"}, "nothing to search"),
        ({"threat": "linf(video=1/255, moments=other)"}, "clips are read at one set of moments alone"),
        ({"output": "ftp://user:secret@host/found.csv"}, "credentials must come from the environment"),
        ({"hop_seconds": 0}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PredictConfig.model_validate(settings)


def test_an_attack_may_be_given_by_its_name() -> None:
    assert isinstance(PredictConfig.model_validate({"attack": "worst_case"}).attack, WorstCase)


def test_another_rule_leaves_long_videos_allowed() -> None:
    rules = PredictConfig.model_validate({"rules": {"missing_tail": "pad"}}).rules
    assert (rules.missing_tail, rules.max_source_seconds) == ("pad", 6 * 3600)


def test_the_search_tells_quarters_of_a_grey_level_apart() -> None:
    config = PredictConfig()
    assert config.threat.video * config.largest_factor / 2**config.rounds * 255 == pytest.approx(0.25)
