"""Class lists of data sets, in label order: those of the literature, one file each in `classes/`.

A file names its sources, then gives a label a line: `label,class_name,other_names`, where other names are what the
same class is called elsewhere, separated by `;`.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from preprocessing.datasets.base import normalised
from preprocessing.errors import SettingsError

FOLDER = Path(__file__).parent / "classes"


@dataclass(frozen=True)
class ClassList:
    """Classes in label order, and every spelling that names one."""

    names: tuple[str, ...]
    """Class names; a label is an index into them."""
    spellings: Mapping[str, str]
    """Class names by each normalised spelling."""

    def find(self, spelling: str) -> str | None:
        """The class that is spelled so, whatever the case, with spaces or underscores; None if there is none."""
        return self.spellings.get(normalised(spelling))

    def choose(self, spellings: Sequence[str]) -> ClassList:
        """The classes spelled so, in this order.

        Raises:
            ValueError: if one is unknown (the message names the nearest and all allowed ones) or named twice.
        """
        if not spellings:
            raise SettingsError("no class is named; name at least one, or a list of the literature")
        if unknown := [spelling for spelling in spellings if self.find(spelling) is None]:
            raise SettingsError(self.unknown(*unknown))
        names = [self.spellings[normalised(spelling)] for spelling in spellings]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SettingsError(f"named twice: {quoted(twice)}")
        return ClassList(tuple(names), {key: name for key, name in self.spellings.items() if name in names})

    def unknown(self, *spellings: str) -> str:
        """The message for classes that are spelled like none of a list."""
        found = "; ".join(f"unknown class '{spelling}'{self._nearest(spelling)}" for spelling in spellings)
        return f"{found}; allowed: {quoted(sorted(self.names))}"

    def _nearest(self, spelling: str) -> str:
        close = difflib.get_close_matches(normalised(spelling), list(self.spellings), n=1, cutoff=0.5)
        return f", the nearest is '{self.spellings[close[0]]}'" if close else ""


@cache
def load_class_list(name: str) -> ClassList:
    """The class list `name`, one of the files in `classes/`."""
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    names = tuple(row["class_name"] for row in rows)
    assert [int(row["label"]) for row in rows] == list(range(len(names))), f"{name}.csv: labels must count from 0"
    others = {other: row["class_name"] for row in rows for other in row["other_names"].split(";") if other}
    spellings = {name: name for name in names} | others
    return ClassList(names, {normalised(spelling): name for spelling, name in spellings.items()})


@cache
def all_classes(list_names: tuple[str, ...]) -> ClassList:
    """Every class of several lists, with every spelling."""
    lists = [load_class_list(name) for name in list_names]
    names = dict.fromkeys(name for each in lists for name in each.names)
    return ClassList(tuple(names), {key: name for each in lists for key, name in each.spellings.items()})


def checked_choice(chosen: object, list_names: tuple[str, ...]) -> str | tuple[str, ...]:
    """`chosen` if it names one of the lists, or the proper names of the classes that it spells.

    Raises:
        ValueError: if it is neither; the message names what is allowed and the nearest.
    """
    if isinstance(chosen, list | tuple) and all(isinstance(each, str) for each in chosen):
        return all_classes(list_names).choose(chosen).names
    if chosen in list_names:
        return str(chosen)
    close = difflib.get_close_matches(str(chosen), list_names, n=1)
    nearest = f", the nearest is '{close[0]}'" if close else ""
    raise SettingsError(
        f"unknown class list '{chosen}'{nearest}; allowed: {quoted(list_names)}, or names in [brackets]"
    )


def chosen_classes(chosen: str | tuple[str, ...], list_names: tuple[str, ...]) -> ClassList:
    """The classes of a checked choice."""
    return load_class_list(chosen) if isinstance(chosen, str) else all_classes(list_names).choose(chosen)


def quoted(names: Iterable[str]) -> str:
    """Names in quotes, separated by commas."""
    return ", ".join(f"'{name}'" for name in names)
