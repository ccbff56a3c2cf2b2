"""The settings that name places: made absolute, since workers run in other folders, or refused in a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from pipeline.environment import is_submitted_job
from preprocessing.errors import PlaceError

SHARED = "/shared"
"""Stands in messages for a folder that all nodes see."""
COPIES = "working_dir_files"
"""The folder in which Ray unpacks a job's working directory, in a folder of its own."""
READ = ("data", "moments", "checkpoint")
"""Folders that a command reads."""
WEIGHTS = tuple(
    f"{group}model.{name}" for group in ("", "train.") for name in ("weights", "video_weights", "audio_weights")
)
"""Paths, made absolute as they are read, or words such as `imagenet`."""


def absolute_places(config: BaseModel) -> dict[str, object]:
    """The settings that name places on this machine, as absolute paths; URLs stay as they are.

    Raises:
        PlaceError: if one is relative in a submitted job.
    """
    places = named_places(config)
    refuse_relative(places)
    return {
        key: [_absolute(each) for each in place] if isinstance(place, tuple) else _absolute(place)
        for key, place in places.items()
    }


def named_places(config: BaseModel) -> dict[str, object]:
    """Every setting that names a place, or several as a tuple, by its dotted key; without those that are not set."""
    dataset = getattr(config, "dataset", None)
    keys = (
        "data",
        "moments",
        "output",
        "checkpoint",
        "weights",
        "surrogates",
        "noise_folder",
        "reference",
        "evaluation",
        *(f"dataset.{name}" for name in getattr(dataset, "places", ())),
    )
    found = {key: _value(config, key) for key in keys}
    models = getattr(config, "models", None)
    for name, model in models.items() if isinstance(models, Mapping) else ():
        found |= {f"models.{name}.{part}": getattr(model, part) for part in ("checkpoint", "weights")}
    weights = {key: _value(config, key) for key in WEIGHTS}
    found |= {key: file for key, file in weights.items() if file is not None and Path(str(file)).is_absolute()}
    return {key: place for key, place in found.items() if place is not None}


def missing_folders(changes: Sequence[str]) -> list[str]:
    """The problems of words such as `data=DIR` whose folder is to be read and does not exist."""
    given = [(key, place) for key, equals, place in (word.partition("=") for word in changes) if equals]
    return [
        f"{key}: '{place}' does not exist (the current folder is '{Path.cwd()}')"
        for key, place in given
        if key in READ and place and "://" not in place and not Path(place).expanduser().exists()
    ]


def refuse_relative(places: Mapping[str, object]) -> None:
    """Refuse places in the working directory of a submitted job, all at once: each node has a copy of it for itself.

    Raises:
        PlaceError: naming each setting, its value and what to write.
    """
    if not is_submitted_job():
        return
    given = [(key, each) for key, place in places.items() for each in (place if isinstance(place, tuple) else (place,))]
    wrong = [(key, inside) for key, each in given if (inside := _inside_a_copy(str(each)))]
    if wrong:
        listed = "\n".join(f"  {key}='{inside}': write {key}={SHARED}/{inside}" for key, inside in wrong)
        raise PlaceError(
            "a submitted job runs in a copy of its working directory, which each node has for itself and Ray removes; "
            f"give whole paths of folders that all nodes see ({SHARED} stands for one of yours), or URLs:\n{listed}"
        )


def _value(config: object, key: str) -> object:
    """The value of a dotted setting; None if there is no such setting, whatever else has its name."""
    for part in key.split("."):
        config = getattr(config, part) if part in getattr(type(config), "model_fields", ()) else None
    return config


def _inside_a_copy(place: str) -> str:
    """A place relative to a job's working directory; empty if it lies elsewhere."""
    path = Path(place).expanduser()
    if "://" in place:
        return ""
    if not path.is_absolute():
        return str(path)
    if f"/{COPIES}/" not in place:
        return ""
    return place.partition(f"/{COPIES}/")[2].partition("/")[2] or "."


def _absolute(place: object) -> str:
    return str(place) if "://" in str(place) else str(Path(str(place)).expanduser().absolute())
