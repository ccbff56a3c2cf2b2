"""Records of earlier format versions, brought up to today's: each version has one step that leads to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from preprocessing.errors import DataError

Record = dict[str, Any]
Step = Callable[[Record], Record]
"""Makes a record of one format version one of the next; it returns a new one and leaves `format_version` alone."""


def migrated(record: object, *, to: int, steps: Mapping[int, Step], what: str) -> Record:
    """The same record as the format version `to` writes it.

    Args:
        record: plain data with a `format_version`.
        to: the format version that this code writes.
        steps: by format version, what makes a record of it one of the next; the lowest is the oldest that can be read.
        what: the record and its place, for the message: `checkpoint 'runs/robust'`.

    Raises:
        DataError: if it is no record, or of a version that this code cannot read; it says which ones it can.
    """
    found = record.get("format_version") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(found, int):
        raise DataError(f"{what} is damaged: it does not say its format version")
    oldest = min(steps, default=to)
    if found > to:
        raise DataError(
            f"{what} has format version {found}, this code reads {_range(oldest, to)}: a later version of this project "
            "wrote it; use that one"
        )
    if found < oldest:
        raise DataError(f"{what} has format version {found}, this code reads {_range(oldest, to)}: make it again")
    for version in range(found, to):
        record = {**steps[version](record), "format_version": version + 1}
    return record


def _range(oldest: int, newest: int) -> str:
    return str(newest) if oldest == newest else f"{oldest} to {newest}"
