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
ADDED: Mapping[str, object] = {"batch_norm": "local", "model.weights": "none"}
"""Settings of a training that earlier versions did not have, with the values that mean what those always did."""


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
        if (end := _retired(name)) and (harmless := RETIRED[end]) is not None and value not in harmless
    ]
    if refused:
        raise SettingsError(
            f"{where} was begun with {', '.join(refused)}, which this version no longer has: finish it with the "
            "version that began it, or choose another output"
        )
    return _without(stored)


def with_added(stored: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """A training's stored settings with those that an earlier version did not have, as far as `now` has them."""
    found = dict(stored)
    for name, value in ADDED.items():
        group, _, last = name.rpartition(".")
        there, here = (found.get(group), now.get(group)) if group else (found, now)
        if isinstance(there, Mapping) and isinstance(here, Mapping) and last in here:
            completed = {last: value} | dict(there)
            found = {**found, group: completed} if group else completed
    return found


def _without(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    return {
        key: _without(value, f"{prefix}{key}.") if isinstance(value, Mapping) else value
        for key, value in tree.items()
        if not _retired(f"{prefix}{key}")
    }


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _retired(name: str) -> str | None:
    """The entry of `RETIRED` that a dotted name ends with, if there is one."""
    return next((end for end in RETIRED if f".{name}".endswith(f".{end}")), None)
