"""Initial weights of an encoder: random, torchvision's ImageNet weights, or a file."""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import safetensors
import safetensors.torch
import torch
from pydantic import AfterValidator
from torch import Tensor, nn

from preprocessing.errors import DataError
from preprocessing.storage.parsing import open_regular
from training.models.encoders import ENCODERS, EncoderName

logger = logging.getLogger(__name__)

SUFFIXES = (".safetensors", ".pt", ".pth")
NONE, IMAGENET = "none", "imagenet"
ARCHIVE = b"PK\x03\x04"
"""The first bytes of a file that torch writes; those of before 2020 begin otherwise."""
DAMAGED = (pickle.UnpicklingError, safetensors.SafetensorError, zipfile.BadZipFile)
MAX_SAID = 300
"""Letters of a library's message that are passed on."""


class WeightsError(DataError):
    """Weights cannot be had, or do not fit the encoder that they are meant for."""


def _named_source(value: str) -> str:
    if value in (NONE, IMAGENET):
        return value
    if not value.endswith(SUFFIXES):
        raise ValueError(f"got '{value}'; allowed: {NONE}, {IMAGENET}, or a file ending in {', '.join(SUFFIXES)}")
    return str(Path(value).expanduser().absolute())  # who reads it runs elsewhere


def _named_checkpoint(value: str) -> str:
    return value if value == NONE else str(Path(value).expanduser().absolute())


CheckpointSource = Annotated[str, AfterValidator(_named_checkpoint)]
"""`none`, or the path of a checkpoint's folder; it is made absolute at once."""
WeightsSource = Annotated[str, AfterValidator(_named_source)]
"""`none`, `imagenet`, or the path of a state dict, tensors by the encoder's own names; it is made absolute at once."""


def load_pretrained(encoder: nn.Module, name: EncoderName, source: str) -> None:
    """Fill `encoder` with the weights of `source`; with `none` it stays as it is.

    A stem for three channels becomes one for one channel by adding up its filters, so that it answers a patch as it
    would have answered the grey picture of it. A last layer that is missing or has another number of outputs stays at
    random, and a line of the log says so. Everything else must fit.

    Raises:
        WeightsError: if the source cannot be read, or tensors are missing, too many or of another shape.
    """
    if source == NONE:
        return
    weights = imagenet_weights(name) if source == IMAGENET else read_state_dict(Path(source))
    kept = _without_other_head(_with_fitting_stem(weights, encoder, name), encoder, name)
    if problems := _misfits(kept, encoder.state_dict(), ENCODERS[name].head):
        raise WeightsError(f"the weights '{source}' do not fit {name}: {'; '.join(problems)}")
    encoder.load_state_dict(kept, strict=False)


def imagenet_weights(name: EncoderName) -> dict[str, Tensor]:
    """Torchvision's ImageNet-1k weights, from its cache below `TORCH_HOME` or downloaded into it.

    Raises:
        WeightsError: if there are none for this encoder, or they are neither there nor to be had.
    """
    import torchvision

    if name == "tiny":
        raise WeightsError("there are no ImageNet weights of tiny; use 'none' or a file")
    source = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        weights: dict[str, Tensor] = source.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"the ImageNet weights of {name} cannot be had from {source.url}: {error}. Without a network, give the "
            "path of a copy of that file in place of 'imagenet'"
        ) from error
    return weights


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name, from a safetensors file or one of torch's that holds tensors alone.

    Raises:
        WeightsError: if the file is missing, damaged or holds something else; nothing in it is ever executed.
    """
    if not path.is_file():
        raise WeightsError(f"the weights '{path}' are no file (the current folder is '{Path.cwd()}')")
    try:
        found = load_tensors(path)
    except WeightsError as error:
        raise WeightsError(f"the weights {error}") from error
    if not (isinstance(found, Mapping) and found and all(isinstance(each, Tensor) for each in found.values())):
        held = f"a mapping of {_listed(list(map(str, found)))}" if isinstance(found, Mapping) else type(found).__name__
        raise WeightsError(f"'{path}' holds {held}; allowed: a state dict, which maps names to tensors")
    return dict(found)


def load_tensors(path: Path) -> Any:
    """The content of a safetensors file, or of one of torch's that holds tensors and plain data alone.

    Raises:
        WeightsError: if it is missing, damaged or holds something else, or would take more memory than it has bytes.
    """
    try:
        os.close(open_regular(path))
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        _refuse_packed(path)
        return torch.load(path, weights_only=True, map_location="cpu")
    except (*DAMAGED, OSError, RuntimeError, ValueError, EOFError) as error:
        said = " ".join(str(error).split())[:MAX_SAID] or type(error).__name__
        raise WeightsError(f"'{path}' cannot be read: {said}") from error


def _refuse_packed(path: Path) -> None:
    """Stop at an archive whose files have more bytes than itself, as torch writes none: a small one may hold any number
    of zeros.

    Raises:
        ValueError: if it is one.
        zipfile.BadZipFile: if it begins like an archive and is none.
    """
    with path.open("rb") as file:
        if file.read(len(ARCHIVE)) != ARCHIVE:
            return
        num_bytes = sum(each.file_size for each in zipfile.ZipFile(file).infolist())
    if num_bytes > path.stat().st_size:
        raise ValueError(f"{num_bytes:,} bytes are packed into {path.stat().st_size:,}; allowed: unpacked tensors")


def _with_fitting_stem(weights: dict[str, Tensor], encoder: nn.Module, name: EncoderName) -> dict[str, Tensor]:
    stem = f"{ENCODERS[name].stem}.weight"
    filters, wanted = weights.get(stem), encoder.state_dict()[stem]
    if filters is None or filters.dim() != 4 or (filters.shape[1], wanted.shape[1]) != (3, 1):
        return weights
    return {**weights, stem: filters.sum(1, keepdim=True)}


def _without_other_head(weights: dict[str, Tensor], encoder: nn.Module, name: EncoderName) -> dict[str, Tensor]:
    """All but a last layer of the right width with another number of outputs."""
    head = ENCODERS[name].head
    stored, wanted = weights.get(f"{head}.weight"), encoder.state_dict()[f"{head}.weight"]
    if stored is not None and stored.shape[1:] == wanted.shape[1:] and len(stored) != len(wanted):
        logger.info(
            "the last layer of %s, %s, is left at random: %d outputs are stored, the encoder has %d",
            name,
            head,
            len(stored),
            len(wanted),
        )
        return {each: value for each, value in weights.items() if not _is_below(each, head)}
    if stored is None:
        logger.info("the last layer of %s, %s, is left at random: none is stored", name, head)
    return weights


def _misfits(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], head: str) -> list[str]:
    """Reasons why the weights do not fit; a whole head may be missing, and so may unread counters of batches."""
    has_head = any(_is_below(name, head) for name in weights)
    missing = [
        name
        for name in wanted
        if name not in weights and not name.endswith("num_batches_tracked") and (has_head or not _is_below(name, head))
    ]
    unexpected = [name for name in weights if name not in wanted]
    shapes = [
        f"{name} {list(value.shape)} instead of {list(wanted[name].shape)}"
        for name, value in weights.items()
        if name in wanted and value.shape != wanted[name].shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    return [f"{what}: {_listed(names)}" for what, names in found.items() if names]


def _is_below(name: str, layer: str) -> bool:
    return name.startswith(f"{layer}.")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
