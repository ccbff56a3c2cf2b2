"""Settings of `compare`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from preprocessing.settings import Settings


class CompareConfig(Settings):
    """Finished evaluations of several methods on the same clips -> one comparison."""

    methods: dict[str, tuple[str, ...]]
    """Name of each method -> folders of its evaluations: one, or one for each training with another seed (separated by
    commas). Words such as `DIR` and `NAME=DIR,DIR` stand for them. At least two; differences are told from the earlier
    to the later."""
    output: str = Field(min_length=1)
    """Folder that receives comparison.json, comparison.html, the tables, the model cards and the references."""
    num_resamples: PositiveInt = 2000
    """Bootstrap draws behind each interval."""
    seed: NonNegativeInt = 0
    """Seed of the bootstrap."""

    @field_validator("methods", mode="before")
    @classmethod
    def _folders_apart(cls, value: Any) -> Any:
        """Take folders apart that are separated by commas."""
        if not isinstance(value, Mapping):
            return value
        return {name: folders.split(",") if isinstance(folders, str) else folders for name, folders in value.items()}

    @field_validator("methods")
    @classmethod
    def _there_are_two(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Refuse what leaves nothing to compare, or nothing to read."""
        if len(value) < 2:
            raise ValueError(f"got {len(value)}; at least two are needed: give the folders of two finished evaluations")
        for name, folders in value.items():
            if not name.strip() or not folders or not all(folder.strip() for folder in folders):
                raise ValueError(f"'{name}' has no name or an empty folder; write NAME=DIR or NAME=DIR,DIR")
        return value
