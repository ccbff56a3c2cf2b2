"""The models of an evaluation: the one attacked, a checkpoint or anybody's, and those that attacks are crafted on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from evaluation.config import EvaluateConfig, surrogate_names
from evaluation.planning.moments import open_pairs, suits
from preprocessing.errors import DataError, SettingsError
from preprocessing.schema import ClipFormat, DatasetIndex, Split
from preprocessing.storage.provenance import Provenance
from training.checkpoint import load_identified
from training.models.adapters import Adapter
from training.models.classifier import Outputs
from training.models.foreign import ModelInput, load_foreign, state_sha256
from training.threat import AudioDomain, ThreatModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Victim:
    """A model in evaluation mode on the processor, called as `model(video, audio)`, with what is known of it."""

    model: nn.Module
    sha256: str
    """Names its weights."""
    objective: str | None = None
    """Name of the objective that it was trained by, if that is known."""
    provenance: Provenance | None = None
    """The code, libraries and machine that trained it, if they are known."""


@runtime_checkable
class NamesAModel(Protocol):
    """Settings that name a checkpoint, or a model of another maker."""

    @property
    def checkpoint(self) -> str | None:
        """Folder of a checkpoint."""

    @property
    def model(self) -> str | None:
        """Factory of a model of another maker."""

    @property
    def weights(self) -> str | None:
        """Its weights."""

    @property
    def model_input(self) -> ModelInput:
        """The form in which it takes frames and audio."""


def load_victim(config: EvaluateConfig, index: DatasetIndex, model: nn.Module | None = None) -> Victim:
    """The model of a config, or the one given in its place, checked against the data set.

    Raises:
        UserError: if it cannot be loaded, or is one of other classes or clips, or returns no logits.
    """
    if model is not None:
        victim = Victim(model.eval(), state_sha256(model))
        return _that_returns_outputs(victim, index, audio_domain=config.threat.audio_domain)
    return load_named(config, index, data=config.data, threat=config.threat)


def load_named(named: NamesAModel, index: DatasetIndex, *, data: str, threat: ThreatModel) -> Victim:
    """The model that settings name, checked against the data set in `data`, whose clips `threat` is about.

    Raises:
        UserError: if it cannot be loaded, or is one of other classes or clips, or returns no logits.
    """
    if named.model is not None:
        foreign = load_foreign(
            named.model,
            named.weights,
            named.model_input,
            clip_format=index.format,
            num_classes=len(index.classes),
        )
        return _that_returns_outputs(Victim(foreign, state_sha256(foreign)), index, audio_domain=threat.audio_domain)
    if named.checkpoint is not None:
        return load_checkpoint(named.checkpoint, index, data=data, at_any_moments=threat.moments == "other")
    raise SettingsError("give checkpoint=DIR, or model=package.module:factory for a model of another maker")


def refuse_unnamed(reported: EvaluateConfig, *, model: str | None, data: str | None) -> None:
    """Refuse what a report names and the user does not: code to import, which may be anybody's, and places elsewhere.

    Args:
        reported: the settings in a report.
        model: the factory that the user names.
        data: the data set that the user names.

    Raises:
        SettingsError: if the report names a factory or a URL alone.
    """
    if reported.model is not None and reported.model != model:
        raise SettingsError(
            f"the report measured model={reported.model}, and code that a report names is not run unasked: if you "
            f"trust it, add model={reported.model}"
        )
    if data is None and ("://" in reported.measured or "::" in reported.measured):
        raise SettingsError(
            f"the report names data={reported.measured}, and a place elsewhere that a report names is not asked "
            f"unbidden: if you trust it, add data={reported.measured}"
        )


def load_surrogates(config: EvaluateConfig, index: DatasetIndex) -> dict[str, Victim]:
    """The models that transferred attacks are crafted on, by name.

    Raises:
        UserError: if one cannot be loaded, or is one of other classes or clips.
    """
    names = surrogate_names(config.surrogates)
    return {
        name: load_checkpoint(folder, index, data=config.data, at_any_moments=config.threat.moments == "other")
        for name, folder in zip(names, config.surrogates, strict=True)
    }


def load_checkpoint(checkpoint: str, index: DatasetIndex, *, data: str, at_any_moments: bool = False) -> Victim:
    """A checkpoint that knows the data set's classes and clips; `at_any_moments`, of any number and length of segments.

    Raises:
        DataError: if it is none, or another; it says what both are.
    """
    model, info, sha256 = load_identified(checkpoint)
    if info.classes != index.classes:
        raise DataError(
            f"'{checkpoint}' knows the classes {', '.join(info.classes)}, "
            f"'{data}' has {', '.join(index.classes)}: they must be the same, in the same order"
        )
    if not suits(info.clip_format, index.format, at_any_moments=at_any_moments):
        raise DataError(
            f"'{checkpoint}' was trained on clips as {info.clip_format}, '{data}' stores {index.format}: "
            "preprocess with the checkpoint's format"
        )
    return Victim(model, sha256, info.objective, info.provenance)


def _that_returns_outputs(victim: Victim, index: DatasetIndex, *, audio_domain: AudioDomain) -> Victim:
    """The same model, behind an `Adapter` if it returns plain logits."""
    name = type(victim.model).__name__
    try:
        found = answer_to_a_clip(victim.model, index.format, audio_domain=audio_domain)
    except Exception as error:
        shapes = ", ".join(str(list(each.shape)) for each in empty_clip(index.format, audio_domain=audio_domain))
        raise SettingsError(
            f"{name} cannot be called with frames and audio of shapes {shapes}: {type(error).__name__}: {error}. "
            "model_input says what it is fed; an Adapter of training.models.adapters can do anything"
        ) from error
    logits = found.logits if isinstance(found, Outputs) else found
    if not (isinstance(logits, Tensor) and logits.dim() == 2 and logits.shape[0] == 1):
        got = f"a tensor of shape {list(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise SettingsError(
            f"{name} returned {got} for one clip; allowed: logits [1, classes], or Outputs with such ones"
        )
    if not logits.is_floating_point():
        raise SettingsError(f"{name} returned {logits.dtype}; allowed: logits in floating point, not classes")
    if logits.shape[1] != len(index.classes):
        raise DataError(f"{name} tells {logits.shape[1]} classes apart, the data set has {len(index.classes)}")
    if isinstance(found, Outputs):
        return victim
    return Victim(Adapter(victim.model).eval(), victim.sha256, victim.objective, victim.provenance)


def empty_clip(clip_format: ClipFormat, *, audio_domain: AudioDomain) -> tuple[Tensor, Tensor]:
    """Frames and audio of one black and silent clip."""
    segments, size = clip_format.num_segments, clip_format.frame_size
    is_waveform = audio_domain == "waveform"
    patch = (clip_format.segment_samples,) if is_waveform else (clip_format.num_mels, clip_format.steps)
    return torch.zeros(1, segments, 3, size, size), torch.zeros(1, segments, *patch)


def answer_to_a_clip(model: nn.Module, clip_format: ClipFormat, *, audio_domain: AudioDomain) -> object:
    """The model's answer to one black and silent clip: which outputs it gives, and for how many classes."""
    with torch.no_grad():
        return model(*empty_clip(clip_format, audio_domain=audio_domain))


@runtime_checkable
class NamesMoments(Protocol):
    """Settings that name clips, and perhaps the same at the moments at which models sample them."""

    @property
    def data(self) -> str:
        """The clips that are attacked."""

    @property
    def moments(self) -> str | None:
        """The clips that attacks are judged on; None = the same."""

    @property
    def split(self) -> Split:
        """The split of both."""

    @property
    def limit(self) -> int | None:
        """The first so many clips; None = all."""

    @property
    def threat(self) -> ThreatModel:
        """The rules of the attacks."""


def sampled_index(config: NamesMoments, *models: nn.Module) -> DatasetIndex | None:
    """The index of the clips that attacks are judged on, where these are others than those that they are made on.

    Raises:
        UserError: if they are not the same clips, or a model does not take them.
    """
    pairs = open_pairs(config.data, config.moments, config.split, config.threat)
    if pairs is None:
        return None
    pairs.require_same_clips(config.limit)
    if pairs.are_at_the_same_moments(config.limit):
        logger.warning(
            "moments='%s' samples the very moments of data='%s', but for whole segments: nothing is hidden from the "
            "attacker. Choose another format.offset (one segment less begins half a segment later by itself)",
            config.moments,
            config.data,
        )
    index = pairs.sampled.index
    for model in models:
        try:
            answer_to_a_clip(model, index.format, audio_domain=config.threat.audio_domain)
        except Exception as error:
            empty = empty_clip(index.format, audio_domain=config.threat.audio_domain)
            shapes = ", ".join(str(list(each.shape)) for each in empty)
            raise SettingsError(
                f"{type(model).__name__} cannot be called with the clips of moments='{config.moments}', frames and "
                f"audio of shapes {shapes}: {type(error).__name__}: {error}. Store them with the number and length of "
                "segments that it takes"
            ) from error
    return index
