"""A checkpoint: a folder that holds a model and everything needed to go on training it. Nothing in it is a pickle.

model.safetensors   weights
state.pt            optimizer, history and how far a begun epoch is; loaded with `weights_only=True`
config.yaml         the resolved training config
format.json         `CheckpointInfo`, with the versions of the code and the libraries that wrote it
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import yaml
from pydantic import ValidationError
from torch import Tensor

from preprocessing.errors import DataError
from preprocessing.schema import ClipFormat
from preprocessing.settings import Settings, describe_differences, first_problem
from preprocessing.storage.atomic_folder import replacing_folder, unchanged
from preprocessing.storage.migrations import Record, Step, migrated
from preprocessing.storage.parsing import open_regular, parse_json, read_regular, read_settings
from preprocessing.storage.provenance import Provenance
from training.models import Classifier, ModelConfig
from training.models.weights import NONE, WeightsError, load_tensors

logger = logging.getLogger(__name__)

CHECKPOINT_VERSION = 2
"""The format of the stored files, raised when their meaning changes; `_steps` brings earlier records up to it."""
MODEL_NAME = "model.safetensors"
STATE_NAME = "state.pt"
CONFIG_NAME = "config.yaml"
INFO_NAME = "format.json"
ARCHITECTURE = ("video_encoder", "audio_encoder", "fusion", "feature_size")
"""The settings of a model that decide which weights it has."""


class CheckpointError(DataError):
    """A folder is not a checkpoint that this code can read."""


class CheckpointInfo(Settings):
    """The record of a checkpoint: its model, and the data, objective and code it was trained by."""

    format_version: int = CHECKPOINT_VERSION
    model: ModelConfig
    clip_format: ClipFormat
    classes: tuple[str, ...]
    dataset_sha256: str
    """`content_sha256` of the data set it was trained on."""
    epoch: int
    """Epochs that were finished."""
    metrics: dict[str, float]
    """Metrics of the last finished epoch."""
    objective: str | None = None
    """Name of the training objective; None = unknown."""
    provenance: Provenance | None = None
    """The code, libraries and machine that wrote it; None = version 1, which did not record them."""


def save(
    folder: str | Path,
    *,
    model: Classifier,
    info: CheckpointInfo,
    config: dict[str, Any],
    state: dict[str, Any],
) -> None:
    """Write a checkpoint; `folder` appears only when it is complete, and replaces an older one.

    Args:
        folder: where.
        model: the bare classifier.
        info: what it is.
        config: the resolved training config as plain data.
        state: tensors and plain data by name, for `load_state`.
    """
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    with replacing_folder(Path(folder)) as partial:
        safetensors.torch.save_file(weights, partial / MODEL_NAME)
        torch.save(state, partial / STATE_NAME)
        (partial / CONFIG_NAME).write_text(yaml.safe_dump(config, sort_keys=False))
        (partial / INFO_NAME).write_text(info.model_dump_json(indent=1) + "\n")


def copy_for_use(checkpoint: str | Path, folder: str | Path) -> None:
    """Copy a checkpoint without the state that training would go on from, which is most of it.

    Raises:
        CheckpointError: if it is none.
    """
    load_info(checkpoint)
    with replacing_folder(Path(folder)) as partial:
        for name in (MODEL_NAME, CONFIG_NAME, INFO_NAME):
            try:
                shutil.copyfile(Path(checkpoint) / name, partial / name)
            except OSError as error:
                raise CheckpointError(f"'{checkpoint}/{name}' cannot be read: {error.strerror}") from error


def load_info(folder: str | Path) -> CheckpointInfo:
    """Read a checkpoint's record of itself.

    Raises:
        CheckpointError: if it is none.
        DataError: if its format version cannot be read.
    """
    path = Path(folder) / INFO_NAME
    if not path.is_file():
        inner = next((each for each in sorted(Path(folder).glob("*/")) if (each / INFO_NAME).is_file()), None)
        remedy = f"; '{inner}' is one" if inner else ""
        raise CheckpointError(f"'{folder}' is not a checkpoint: it has no {INFO_NAME}{remedy}")
    try:
        record = parse_json(read_regular(path), what=f"'{path}'")
    except (OSError, DataError) as error:
        raise CheckpointError(f"'{path}' does not describe a checkpoint: {error}") from error
    record = migrated(record, to=CHECKPOINT_VERSION, steps=_steps(path.parent), what=f"checkpoint '{folder}'")
    try:
        return CheckpointInfo.model_validate_json(json.dumps(record))  # as JSON: lists of it are tuples
    except ValidationError as error:
        raise CheckpointError(
            f"'{path}' does not describe a checkpoint of this version: {first_problem(error)}"
        ) from error


def _steps(folder: Path) -> dict[int, Step]:
    """By format version, the function that makes a record of it one of the next."""

    def to_2(record: Record) -> Record:
        """Version 1 recorded no provenance; the objective stands in the settings beside it."""
        objective = stored_settings(folder).get("objective")
        return {
            **record,
            "objective": objective.get("name") if isinstance(objective, dict) else None,
            "provenance": None,
        }

    return {1: to_2}


def stored_settings(folder: str | Path) -> dict[str, Any]:
    """The settings of the training that wrote a checkpoint, as plain data; none if they are not there.

    Raises:
        DataError: if they cannot be read.
    """
    try:
        return read_settings(Path(folder) / CONFIG_NAME)
    except FileNotFoundError:
        return {}


def load_model(folder: str | Path) -> tuple[Classifier, CheckpointInfo]:
    """The stored classifier on the processor, in evaluation mode, and the checkpoint's record.

    Raises:
        CheckpointError: if the folder is not a checkpoint or its weights do not fit its model.
    """
    return unchanged(Path(folder), lambda: _load_model(folder))


def load_identified(folder: str | Path) -> tuple[Classifier, CheckpointInfo, str]:
    """The same, and the SHA-256 of its weights.

    Raises:
        CheckpointError: if the folder is not a checkpoint or its weights do not fit its model.
    """
    return unchanged(Path(folder), lambda: (*_load_model(folder), model_sha256(folder)))


def _load_model(folder: str | Path) -> tuple[Classifier, CheckpointInfo]:
    info = load_info(folder)
    with torch.device("meta"):  # a model without numbers: its shapes are compared before memory is taken for any
        try:
            planned = info.model.build(info.clip_format, len(info.classes))
        except (RuntimeError, OverflowError) as error:
            raise CheckpointError(f"'{folder}' describes a model that nobody can build: {error}") from error
    _refuse_misfits(folder, planned)
    model = info.model.build(info.clip_format, len(info.classes))
    load_weights(folder, model)
    return model.eval(), info


def load_initial(config: ModelConfig, model: Classifier, classes: tuple[str, ...]) -> None:
    """Fill a fresh `model` of these classes with the weights that its training begins with.

    From a checkpoint of the same classes in the same order all weights are taken. With other classes its last layers
    stay at random, and a line of the log says so.

    Raises:
        UserError: if the weights cannot be had or do not fit; of a checkpoint every setting that differs is named.
    """
    if config.weights == NONE:
        config.load_pretrained(model)
        return
    info = load_info(config.weights)
    if lines := describe_differences(
        info.model.model_dump(include=set(ARCHITECTURE)), config.model_dump(include=set(ARCHITECTURE))
    ):
        raise WeightsError(
            f"model.weights='{config.weights}' is a checkpoint of another model; set what it has, or choose another "
            "one. What differs:\n" + "\n".join(f"  model.{line}" for line in lines)
        )
    weights: dict[str, Tensor] = load_model(config.weights)[0].state_dict()
    if info.classes != classes:
        heads = model.heads
        logger.info(
            "the last layers, %s, are left at random: '%s' was trained for other classes (%d)",
            *(", ".join(heads), config.weights, len(info.classes)),
        )
        weights = {name: value for name, value in weights.items() if name.rpartition(".")[0] not in heads}
    model.load_state_dict(weights, strict=False)


def load_weights(folder: str | Path, model: Classifier) -> None:
    """Fill `model` with the stored weights.

    Raises:
        CheckpointError: if they do not fit; nothing of them is then read.
    """
    _refuse_misfits(folder, model)
    try:
        model.load_state_dict(load_tensors(Path(folder) / MODEL_NAME))
    except RuntimeError as error:
        raise CheckpointError(f"the weights in '{folder}' do not fit its model: {error}") from error


def _refuse_misfits(folder: str | Path, model: Classifier) -> None:
    """Stop if the stored weights have other names or shapes than the model's; only the head of the file is read."""
    path = Path(folder) / MODEL_NAME
    try:
        os.close(open_regular(path))
        with safetensors.safe_open(path, framework="pt") as file:
            stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, DataError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"the weights '{path}' cannot be read: {error}") from error
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    differing = sorted(name for name in stored.keys() | wanted.keys() if stored.get(name) != wanted.get(name))
    if differing:
        name = differing[0]
        raise CheckpointError(
            f"the weights in '{folder}' do not fit its model: {len(differing)} differ, such as {name:.80}: "
            f"{stored.get(name, 'none')} is stored, the model has {wanted.get(name, 'none')}"
        )


def load_state(folder: str | Path) -> dict[str, Any]:
    """The tensors and plain data that `save` was given as `state`.

    Raises:
        CheckpointError: if it is missing or damaged.
    """
    path = Path(folder) / STATE_NAME
    try:
        state: dict[str, Any] = load_tensors(path)
    except WeightsError as error:
        raise CheckpointError(f"the training's state {error}") from error
    return state


def model_sha256(folder: str | Path) -> str:
    """SHA-256 of the stored weights: names the exact model.

    Raises:
        CheckpointError: if they cannot be read.
    """
    path = Path(folder) / MODEL_NAME
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"the weights '{path}' cannot be read: {error.strerror}") from error
