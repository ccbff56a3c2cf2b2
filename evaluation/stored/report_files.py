"""The file that a finished measurement leaves: its report as JSON, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from preprocessing.errors import DataError, PlaceError
from preprocessing.settings import Settings, first_problem
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.parsing import read_regular

AnyReport = TypeVar("AnyReport", bound=Settings)


def read_report(kind: type[AnyReport], folder: str | Path, name: str, *, what: str) -> AnyReport:
    """The report that lies in a folder under `name`; `what` is missing if there is none, such as `measurement`.

    Raises:
        PlaceError: if there is none.
        DataError: if it is no report that this code can read.
    """
    path = Path(folder) / name
    if not path.is_file():
        raise PlaceError(f"'{path}' does not exist: '{folder}' holds no finished {what}")
    try:
        return kind.model_validate_json(read_regular(path))
    except ValidationError as error:
        raise DataError(f"'{path}' is not a report of this version: {first_problem(error)}") from error


def write_report(report: Settings, folder: Path, name: str) -> None:
    """Write a report; it appears whole or not at all."""
    write_text(folder / name, json.dumps(report.model_dump(mode="json"), indent=2) + "\n")
