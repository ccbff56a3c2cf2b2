"""A run as it stands on disk: what MLflow is to hold of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.tracking.registry import Registration

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED", "REFUSED"]
"""MLflow's words for the state of a run, and REFUSED for a job that a user's mistake has ended."""


@dataclass(frozen=True)
class DataNote:
    """The data set that a run reads."""

    place: str
    sha256: str
    """Of its content."""
    context: str
    """Its purpose: `training` or `evaluation`."""


@dataclass(frozen=True)
class RunRecord:
    """Everything that MLflow is to hold of one run; more of it from moment to moment, never less."""

    key: str
    """The name by which the run is found again."""
    name: str
    """The name that is shown."""
    settings: Mapping[str, str | float]
    recognised_by: str
    """The number of every step by which MLflow is known to have that step's others."""
    points: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """Numbers by step."""
    files: Mapping[Path, str] = field(default_factory=dict)
    """Files, and the checkpoint's folder, each with the folder of the run that it goes into; those that exist."""
    status: Status = "RUNNING"
    data: DataNote | None = None
    """The data set that it reads; None = it is not told."""
    parent: str = ""
    """The key of the run that this one is part of; empty = none."""
    registration: Registration | None = None
    """Of its model in the registry, once it is there; unset = it is not registered."""


def content_sha256(path: Path) -> str:
    """SHA-256 over a file, or over the names and contents of all files of a folder."""
    if path.is_file():
        return _file_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{file.relative_to(path)} {_file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
