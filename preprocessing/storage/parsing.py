"""Records read and parsed within bounds: strangers share data sets, checkpoints and reports.

A file's size is looked at before it is read. JSON of more than 200 levels, `NaN` and numbers of more than 4,300 digits
are refused by pydantic's parser on its way through the text; the same parser stands behind `model_validate_json`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pydantic_core
import yaml

from preprocessing.errors import DataError

MAX_BYTES = 64 << 20
"""Of a record, unless its reader says otherwise: the index of a data set of forty million clips has room."""
MAX_PLAN_BYTES = 1 << 30
"""Of `plan.json`, which names every clip: four million have room."""
MAX_YAML_BYTES = 1 << 20
MAX_YAML_DEPTH = 50
MAX_YAML_VALUES = 100_000
"""Values of a YAML file; those that an alias repeats count each time."""
MAX_NUMBER_CHARACTERS = 400
"""Characters of a number in YAML; the longest float has fewer."""


def read_regular(path: str | Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """A whole local file; a pipe or device in its place is not waited for.

    Raises:
        OSError: if it cannot be opened.
        DataError: if it is no regular file, or has more than `max_bytes`.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        refuse_large(os.fstat(file.fileno()).st_size, path, max_bytes=max_bytes)
        data = file.read(max_bytes + 1)
    refuse_large(len(data), path, max_bytes=max_bytes)  # it may have grown meanwhile
    return data


def open_regular(path: str | Path) -> int:
    """The descriptor of a local file, open for reading.

    Raises:
        OSError: if it cannot be opened.
        DataError: if it is a folder, a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # which opens a pipe at once
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"'{path}' is a folder, a pipe or a device; allowed: a regular file")
    return descriptor


def refuse_large(num_bytes: int, where: str | Path, *, max_bytes: int) -> None:
    """Stop before a record is read that is larger than any should be.

    Raises:
        DataError: if it is.
    """
    if num_bytes > max_bytes:
        raise DataError(f"'{where}' has {num_bytes:,} bytes; allowed for such a record: {max_bytes:,}")


def parse_json(data: bytes | str, *, what: str) -> Any:
    """A record as plain data.

    Raises:
        DataError: if it is no JSON, or beyond the bounds; `what` names the record: `'runs/a/report.json'`.
    """
    try:
        return pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise DataError(f"{what} is damaged: it is no JSON: {error}") from error


class BoundedLoader(yaml.SafeLoader):
    """Plain data alone: of a size, a depth and a number of values that settings have."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_YAML_BYTES:
            raise yaml.YAMLError(f"{len(text):,} characters; allowed: {MAX_YAML_BYTES:,}")
        super().__init__(text)
        self._depth = 0
        self._num_values: dict[yaml.Node, int] = {}
        """Of every finished node, the values in it, with those that aliases repeat."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node, with all that is in it."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        is_alias = self.check_event(yaml.AliasEvent)
        if self._depth == MAX_YAML_DEPTH:
            raise yaml.MarkedYAMLError(None, None, f"nested more than {MAX_YAML_DEPTH} deep", mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        assert node is not None, "an event other than the end of a document makes a node"
        self._depth -= 1
        if is_alias and node not in self._num_values:
            raise yaml.MarkedYAMLError(None, None, "a value that contains itself", mark)
        if not is_alias:
            self._num_values[node] = 1 + sum(self._num_values[each] for each in _inside(node))
        if self._num_values[node] > MAX_YAML_VALUES:
            raise yaml.MarkedYAMLError(None, None, f"more than {MAX_YAML_VALUES:,} values", mark)
        if node.tag.endswith((":int", ":float")) and len(node.value) > MAX_NUMBER_CHARACTERS:
            raise yaml.MarkedYAMLError(None, None, f"a number of {len(node.value):,} characters", mark)
        return node


def _inside(node: yaml.Node) -> list[yaml.Node]:
    """The nodes that one is made of, keys and values; none of a scalar."""
    match node:
        case yaml.SequenceNode():
            return list(node.value)
        case yaml.MappingNode():
            return [each for pair in node.value for each in pair]
        case _:
            return []


def parse_yaml(text: str, *, loader: type[BoundedLoader] = BoundedLoader) -> Any:
    """Plain data from YAML.

    Raises:
        yaml.YAMLError: if it is none, or beyond the bounds.
    """
    try:
        return yaml.load(text, Loader=loader)
    except (ValueError, TypeError, OverflowError) as error:  # a date without a day, a list as the name of a value
        raise yaml.YAMLError(f"a value that cannot be read: {error}") from error


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that lie in a stored YAML file, as plain data.

    Raises:
        FileNotFoundError: if there is none.
        DataError: if it cannot be read, or holds something else.
    """
    try:
        found = parse_yaml(read_regular(path, max_bytes=MAX_YAML_BYTES).decode())
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"the settings '{path}' cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise DataError(f"'{path}' holds a {type(found).__name__}; allowed: settings, as `key: value` lines")
    return found
