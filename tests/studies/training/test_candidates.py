from __future__ import annotations

import pytest

from studies.training.candidates import candidates
from studies.training.comparison import BenchmarkConfig, train_config
from studies.training.costs import validation_passes
from studies.training.methods import PEER, Method, methods
from studies.training.trainings import passes

NUM_TRAIN, NUM_VALIDATION, SEGMENTS = 640, 384, 8
"""The clips of the study's own data."""


def total_passes(method: Method) -> float:
    """Training and validation."""
    config = train_config(BenchmarkConfig(), method, 0)
    training = passes(config, NUM_TRAIN, SEGMENTS, epochs=range(config.epochs))
    return training + validation_passes(config, num_train=NUM_TRAIN, num_validation=NUM_VALIDATION)


def test_no_setting_is_dearer_than_the_aim_allows() -> None:
    """Of the 120 passes of PGD-AT 5 and the 18 of validating 96 clips in each of 20 epochs."""
    whole = total_passes(methods()[PEER])
    assert whole == pytest.approx(120 + 18)
    shares = {name: [total_passes(each) / whole for each in tried] for name, tried in candidates().items()}
    assert all(0.3 < share <= 0.35 for tried in shares.values() for share in tried), shares


def test_every_method_has_as_many_settings_and_none_twice() -> None:
    assert {len(tried) for tried in candidates().values()} == {4}
    everything = [each for tried in candidates().values() for each in tried]
    assert all(one != other for number, one in enumerate(everything) for other in everything[:number])
