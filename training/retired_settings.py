"""The settings that trainings of earlier versions have and this one does not, and those that they lack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from preprocessing.errors import SettingsError

RETIRED: Mapping[str, tuple[object, ...] | None] = {
    "crafting.context": ("none",),
    "crafting.warm_start": (False,),
    "warm_start_mib": None,
}
"""By the end of the dotted name, the values that mean what this version always does; None = any: it decided nothing."""
ADDED: Mapping[str, object] = {
    "batch_norm": "local",
    "curriculum": {},  # its own settings are the next ones, as far as the objective has them
    "curriculum.attack_steps": None,
    "curriculum.epsilon_factor": None,
    "curriculum.sampling_ratio": None,
    "input_transforms": [],
    "model.weights": "none",
    "sharing.strength": 1.0,
    "smoothing": {"video": 1, "audio": 1},
    "step_size": None,
}
"""By the end of the dotted name, settings that earlier versions did not have, with what means what those always did."""


def without_retired(stored: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Stored settings without those that this version no longer has.

    Args:
        stored: settings as plain data, as an earlier version may have written them.
        where: whose settings they are, for the message.

    Raises:
        SettingsError: if one of them had a value that this version cannot do.
    """
    refused = [
        f"{name}={value!r}"
        for name, value in _leaves(stored)
        if (end := _known(name, RETIRED)) and (harmless := RETIRED[end]) is not None and value not in harmless
    ]
    if refused:
        raise SettingsError(
            f"{where} was begun with {', '.join(refused)}, which this version no longer has: finish it with the "
            "version that began it, or choose another output"
        )
    return _without(stored)


def with_added(stored: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A training's stored settings with those that an earlier version did not have, as far as `now` has them."""
    return dict(_completed(stored, now))


def _completed(there: Any, here: Any, prefix: str = "") -> Any:
    """The same of a group of settings, or of a list of groups."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        added = {
            key: _completed(ADDED[end], here[key], f"{prefix}{key}.")
            for key in here.keys() - there.keys()
            if (end := _known(f"{prefix}{key}", ADDED))
        }
        return added | {key: _completed(value, here.get(key), f"{prefix}{key}.") for key, value in there.items()}
    if isinstance(there, list | tuple) and isinstance(here, list | tuple) and len(there) == len(here):
        return type(there)(_completed(one, other, prefix) for one, other in zip(there, here, strict=True))
    return there


def _without(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    return {
        key: _without(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in tree.items()
        if not _known(f"{prefix}{key}", RETIRED)
    }


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _known(name: str, known: Mapping[str, object]) -> str | None:
    """The entry of `known` that a dotted name ends with, if there is one."""
    return next((end for end in known if f".{name}".endswith(f".{end}")), None)
