from __future__ import annotations

from copy import deepcopy

import pytest

from preprocessing.errors import SettingsError
from training.attacks import TMA
from training.objectives import AWP, PGDAT, TRADES, FastAT, TMACurriculum
from training.retired_settings import with_added, without_retired

NOW = {"epochs": 2, "objective": {"name": "awp", "objective": {"crafting": {"sampling_ratio": 1.0}}}}


def stored(**crafting: object) -> dict[str, object]:
    """The settings of an earlier version."""
    inner = {"crafting": {"sampling_ratio": 1.0, **crafting}}
    return {"epochs": 2, "warm_start_mib": 7, "objective": {"name": "awp", "objective": inner}}


def test_settings_that_changed_nothing_are_dropped_wherever_they_stand() -> None:
    assert without_retired(stored(warm_start=False, context="none"), where="it") == NOW


def test_settings_of_today_stay() -> None:
    assert without_retired(NOW, where="it") == NOW


def test_settings_that_cannot_be_followed_are_named() -> None:
    message = (
        "the search was begun with objective.objective.crafting.context='clean_features', which this version no longer"
    )
    with pytest.raises(SettingsError, match=message):
        without_retired(stored(warm_start=False, context="clean_features"), where="the search")


def test_settings_that_were_added_are_what_earlier_versions_did_where_they_matter() -> None:
    earlier = {"epochs": 2}
    assert with_added(earlier, {"epochs": 3}) == earlier
    assert with_added(earlier, {"batch_norm": "synchronised"}) == {"batch_norm": "local", "epochs": 2}
    assert with_added({"batch_norm": "frozen"}, {"batch_norm": "local"}) == {"batch_norm": "frozen"}


def test_what_was_added_to_a_group_is_added_there() -> None:
    earlier = {"model": {"fusion": "sum"}}
    assert with_added(earlier, {"model": {"weights": "/a"}}) == {"model": {"fusion": "sum", "weights": "none"}}
    assert with_added(earlier, {"model": {"fusion": "sum"}}) == earlier
    assert with_added({"model": {"weights": "/b"}}, {"model": {"weights": "/a"}}) == {"model": {"weights": "/b"}}


def test_an_earlier_training_without_a_curriculum_is_one_whose_schedules_are_all_unset() -> None:
    """Of each objective as it is today: with the group taken away, it is what `fingerprint` says now."""
    for objective in (FastAT(), TRADES(), AWP(objective=PGDAT())):
        now = {"objective": objective.model_dump(mode="json")}
        earlier = deepcopy(now)
        owner = earlier["objective"].get("objective", earlier["objective"])
        assert set(owner.pop("curriculum").values()) == {None}
        assert with_added(earlier, now) == now


def test_a_curriculum_that_an_earlier_training_had_stays_as_it_was() -> None:
    now = {"objective": TMACurriculum().model_dump(mode="json")}
    assert with_added(now, {"objective": PGDAT().model_dump(mode="json")}) == now


def test_what_was_added_to_attacks_is_added_wherever_an_attack_stands() -> None:
    earlier = {
        "objective": {"attack": {"name": "tma", "sharing": {"segments": 1}}},
        "validation": {"attacks": [{"name": "mifgsm"}]},
    }
    plain = {"video": 1, "audio": 1}
    now = {
        "objective": {
            "attack": {"name": "tma", "smoothing": {"video": 3}, "sharing": {"segments": 1, "strength": 0.5}}
        },
        "validation": {"attacks": [{"name": "mifgsm", "step_size": 0.2, "smoothing": plain}]},
    }
    assert with_added(earlier, now) == {
        "objective": {"attack": {"name": "tma", "smoothing": plain, "sharing": {"segments": 1, "strength": 1.0}}},
        "validation": {"attacks": [{"name": "mifgsm", "step_size": None, "smoothing": plain}]},
    }


def test_an_attack_of_an_earlier_training_is_what_its_defaults_say_now() -> None:
    """As they are stored, in JSON: an empty list is not an empty tuple."""
    now = {"attack": TMA().model_dump(mode="json")}
    added = {"input_transforms", "smoothing", "step_size"}
    earlier = {"attack": {name: value for name, value in now["attack"].items() if name not in added}}
    assert with_added(earlier, now) == now
