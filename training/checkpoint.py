"""A checkpoint: a folder that holds a model and everything needed to go on training it. Nothing in it is a pickle.

model.safetensors   weights
state.pt            optimizer, history and how far a begun epoch is; loaded with `weights_only=True`
config.yaml         the resolved training config
format.json         `CheckpointInfo`
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml

from preprocessing.schema import ClipFormat
from preprocessing.settings import Settings
from training.models import Classifier, ModelConfig

CHECKPOINT_VERSION = 1
"""Raised whenever stored files change their meaning."""
MODEL_NAME = "model.safetensors"
STATE_NAME = "state.pt"
CONFIG_NAME = "config.yaml"
INFO_NAME = "format.json"


class CheckpointError(ValueError):
    """A folder is not a checkpoint that this code can read."""


class CheckpointInfo(Settings):
    """What a checkpoint's model is and what it was trained on."""

    format_version: int = CHECKPOINT_VERSION
    model: ModelConfig
    clip_format: ClipFormat
    classes: tuple[str, ...]
    dataset_sha256: str
    """`content_sha256` of the data set it was trained on."""
    epoch: int
    """Epochs that were finished."""
    metrics: dict[str, float]
    """Of the last finished epoch."""


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
    folder = Path(folder)
    partial = temporary_name(folder)
    partial.mkdir(parents=True)
    safetensors.torch.save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, partial / MODEL_NAME
    )
    torch.save(state, partial / STATE_NAME)
    (partial / CONFIG_NAME).write_text(yaml.safe_dump(config, sort_keys=False))
    (partial / INFO_NAME).write_text(info.model_dump_json(indent=1) + "\n")
    for file in partial.iterdir():  # on the disk before the name says so
        with file.open("rb") as stored:
            os.fsync(stored.fileno())
    replace_folder(partial, folder)


def temporary_name(path: Path) -> Path:
    """A name beside `path` that nobody else uses."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def replace_folder(partial: Path, folder: Path) -> None:
    """Give a complete folder its final name, in place of what had it."""
    if folder.exists():
        old = temporary_name(folder)
        folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old)
    else:
        partial.rename(folder)


def load_info(folder: str | Path) -> CheckpointInfo:
    """What the checkpoint says about itself.

    Raises:
        CheckpointError: if it is none, or of another format version.
    """
    path = Path(folder) / INFO_NAME
    if not path.is_file():
        raise CheckpointError(f"'{folder}' is not a checkpoint: it has no {INFO_NAME}")
    info = CheckpointInfo.model_validate_json(path.read_text())
    if info.format_version != CHECKPOINT_VERSION:
        raise CheckpointError(
            f"checkpoint '{folder}' has format version {info.format_version}, this code reads {CHECKPOINT_VERSION}"
        )
    return info


def load_model(folder: str | Path) -> tuple[Classifier, CheckpointInfo]:
    """The stored classifier on the processor, in evaluation mode, and what it is.

    Raises:
        CheckpointError: if the folder is not a checkpoint or its weights do not fit its model.
    """
    info = load_info(folder)
    model = info.model.build(info.clip_format, len(info.classes))
    load_weights(folder, model)
    return model.eval(), info


def load_weights(folder: str | Path, model: Classifier) -> None:
    """Fill `model` with the stored weights.

    Raises:
        CheckpointError: if they do not fit.
    """
    weights = safetensors.torch.load_file(Path(folder) / MODEL_NAME)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"the weights in '{folder}' do not fit its model: {error}") from error


def load_state(folder: str | Path) -> dict[str, Any]:
    """What `save` was given as `state`."""
    state: dict[str, Any] = torch.load(Path(folder) / STATE_NAME, weights_only=True, map_location="cpu")
    return state


def model_sha256(folder: str | Path) -> str:
    """SHA-256 of the stored weights: names the exact model."""
    with (Path(folder) / MODEL_NAME).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
