"""Models of other makers by name: a factory to import, a file of weights, and what the model wants to be fed."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from preprocessing.errors import DataError, PlaceError, SettingsError
from preprocessing.schema import ClipFormat
from preprocessing.settings import Settings
from training.models.adapters import Adapter
from training.models.classifier import Classifier, Outputs
from training.models.weights import WeightsError, load_tensors

Positive = Annotated[float, Field(gt=0)]
STATE_KEYS = ("state_dict", "model_state_dict", "model", "weights")
"""Keys under which people keep the weights in a dictionary with other things."""


class ModelInput(Settings):
    """The form in which a model of another maker takes frames and audio; as it is: as this project stores them.

    Values in [0, 1] become value * scale, then (value - mean) / std, behind the attack: budgets stay in units of the
    stored values.
    """

    order: Literal["video_audio", "audio_video"] = "video_audio"
    """The order of the model's two arguments."""
    segments: Literal["together", "one_by_one"] = "together"
    """`together`: the model gets whole clips. `one_by_one`: it gets single segments, and its logits are averaged."""
    video: Literal["time_channels", "channels_time"] = "time_channels"
    """Frames of a clip as `[B, T, 3, H, W]`, or as `[B, 3, T, H, W]`, which 3D convolutions take."""
    audio: Literal["per_segment", "per_clip"] = "per_segment"
    """Log-mel patches as `[B, T, M, S]`, or one spectrogram per clip `[B, M, T * S]`."""
    audio_channel: bool = False
    """The audio has a channel of its own: `[B, 1, M, T * S]`; one by one `[B, 1, M, S]`."""
    video_scale: Positive = 1.0
    """255 for a model that takes pixels of 8 bits."""
    video_mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of each colour, after scaling."""
    video_std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    """Of each colour, after scaling."""
    audio_mean: float = 0.0
    """Of the log-mel patches, or of the waveform."""
    audio_std: Positive = 1.0
    """Of the log-mel patches, or of the waveform."""


class ForeignModel(Adapter):
    """A model behind `ModelInput`."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, settings: ModelInput) -> None:
        super().__init__(model)
        self.settings = settings
        self.register_buffer("mean", torch.tensor(settings.video_mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(settings.video_std).view(3, 1, 1), persistent=False)

    def call(self, video: Tensor, audio: Tensor) -> Tensor | Outputs:
        """Run the model on clips in its own form."""
        settings = self.settings
        video = (video * settings.video_scale - self.mean) / self.std
        audio = (audio - settings.audio_mean) / settings.audio_std
        num_segments = video.shape[1]
        if settings.segments == "one_by_one":
            video, audio = video.flatten(0, 1), audio.flatten(0, 1)
        elif settings.video == "channels_time":
            video = video.transpose(1, 2)
        if settings.segments == "together" and settings.audio == "per_clip":
            audio = audio.transpose(1, 2).flatten(2) if audio.dim() == 4 else audio.flatten(1)
        if settings.audio_channel:
            audio = audio.unsqueeze(1)
        streams = (video, audio) if settings.order == "video_audio" else (audio, video)
        found: Tensor | Outputs = self.model(*streams)
        if settings.segments == "together":
            return found
        logits = found.logits if isinstance(found, Outputs) else found
        return logits.reshape(-1, num_segments, logits.shape[1]).mean(1)


def load_foreign(
    factory: str,
    weights: str | None,
    settings: ModelInput,
    *,
    clip_format: ClipFormat,
    num_classes: int,
) -> nn.Module:
    """The model that a factory makes, with its weights, in evaluation mode, behind an adapter unless it is one.

    Args:
        factory: `package.module:name` of a class or a function that returns a `torch.nn.Module`. It is called with
            `num_classes` and `clip_format` if it has parameters of these names, and with nothing else.
        weights: a `.safetensors` file, or one of `torch.save` that holds tensors alone; None = as the factory made it.
        settings: what the model wants to be fed.
        clip_format: the clips that it will see.
        num_classes: the classes that its logits are to be about.

    Raises:
        SettingsError: if the factory cannot be imported or called, or makes no module.
        PlaceError: if there is no such file of weights.
        DataError: if the weights cannot be read, or do not fit.
    """
    make = _imported(factory)
    known = {"num_classes": num_classes, "clip_format": clip_format}
    try:
        names = set(inspect.signature(make).parameters)
        model = make(**{name: value for name, value in known.items() if name in names})
    except Exception as error:
        raise SettingsError(f"model='{factory}' cannot be called: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise SettingsError(f"model='{factory}' returned a {type(model).__name__}; allowed: a torch.nn.Module")
    if weights is not None:
        _load_weights(model, weights)
    return (model if isinstance(model, Adapter | Classifier) else ForeignModel(model, settings)).eval()


def _imported(factory: str) -> Callable[..., object]:
    module_name, colon, name = factory.partition(":")
    if not colon or not module_name or not name:
        raise SettingsError(f"model='{factory}' names no factory; write package.module:name")
    if "" not in sys.path:
        sys.path.insert(0, "")  # a module beside the user's other files, as `python -m` would find it
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"model='{factory}' cannot be imported: {error}") from error
    if not callable(found):
        raise SettingsError(f"model='{factory}' is a {type(found).__name__}; allowed: a class or a function")
    imported: Callable[..., object] = found
    return imported


def _load_weights(model: nn.Module, file: str) -> None:
    if not Path(file).is_file():
        raise PlaceError(f"weights='{file}' does not exist")
    try:
        found: object = load_tensors(Path(file))
    except WeightsError as error:
        raise DataError(f"weights={error}") from error
    state = _state_in(found)
    if state is None:
        raise DataError(f"weights='{file}' holds a {type(found).__name__}; allowed: tensors by name")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise DataError(f"weights='{file}' do not fit {type(model).__name__}: {error}") from error


def _state_in(found: object) -> Mapping[str, Tensor] | None:
    """Tensors by name, from a dictionary of them or with other things beside them, without DataParallel's `module.`."""
    if not isinstance(found, Mapping):
        return None
    inner = next((found[key] for key in STATE_KEYS if isinstance(found.get(key), Mapping)), found)
    if not all(isinstance(value, Tensor) for value in inner.values()):
        return None
    prefix = "module." if inner and all(name.startswith("module.") for name in inner) else ""
    return {name.removeprefix(prefix): value for name, value in inner.items()}


def state_sha256(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, names, types and shapes included: what names a model without a file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
