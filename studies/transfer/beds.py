"""Test beds: clips to train small classifiers on, clips to choose attacks by, and clips to report on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor
from torch.nn import functional

from preprocessing.errors import DataError
from preprocessing.schema import Split
from preprocessing.settings import Settings
from training.batch import Batch
from training.data import evaluation_batches
from training.threat import Fraction, ThreatModel

Part = Literal["train", "choose", "report"]
SPLITS: dict[Part, Split] = {"train": "train", "choose": "validation", "report": "test"}
BATCH_SIZE = 60


@dataclass(frozen=True)
class Clips:
    """All clips of a part of a bed, in memory."""

    video: Float[Tensor, "clips segments 3 height width"]
    audio: Float[Tensor, "clips segments mels steps"]
    labels: Int[Tensor, " clips"]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Clips:
        """The first so many clips."""
        return Clips(self.video[:count], self.audio[:count], self.labels[:count])

    def batches(self) -> list[Batch]:
        """The clips in batches, each named by its number."""
        return [
            Batch(
                video=self.video[start : start + BATCH_SIZE],
                audio=self.audio[start : start + BATCH_SIZE],
                labels=self.labels[start : start + BATCH_SIZE],
                keys=tuple(str(number) for number in range(start, min(start + BATCH_SIZE, len(self)))),
            )
            for start in range(0, len(self), BATCH_SIZE)
        ]


class Bed(Settings):
    """Clips of one kind, and how hard they are attacked and how long models learn them.

    Either a preprocessed data set, whose train, validation and test splits are the three parts, or one NumPy archive
    per part: `v` uint8 `[clips, segments, 3, height, width]`, `a` uint8 log-mel `[clips, segments, 1, mels, steps]`
    (255 = 1), `y` class numbers `[clips]`.
    """

    path: str
    """A preprocessed data set, or the `.npz` of the clips to report on."""
    train: str | None = None
    """The `.npz` of the clips that models learn."""
    choose: str | None = None
    """The `.npz` of the clips by which settings of attacks may be chosen."""
    name: str | None = None
    """What tables call it; unset = the path's last part."""
    num_segments: PositiveInt | None = None
    """Segments per clip, evenly spaced ones of those that are stored; unset = all."""
    shrink: PositiveInt = 1
    """So many pixels of a row and of a column are averaged into one."""
    shrink_audio: PositiveInt = 1
    """So many mel bands and so many steps are averaged into one; steps that are left over are cut off."""
    epsilon: Fraction = Field(default=8 / 255, gt=0)
    """Budget of both modalities, `linf`."""
    epochs: PositiveInt = 14
    """Passes of each model over the clips that it learns."""

    @model_validator(mode="after")
    def _archives_come_with_one_to_learn(self) -> Bed:
        if self.path.endswith(".npz") and self.train is None:
            raise ValueError(f"'{self.path}' holds the clips to report on; name those to learn as train=FILE.npz")
        if not self.path.endswith(".npz") and (self.train or self.choose):
            raise ValueError(f"'{self.path}' is a data set and has all three parts: leave out train and choose")
        return self

    def __str__(self) -> str:
        return self.name or Path(self.path).stem

    @property
    def threat(self) -> ThreatModel:
        """The ball that attacks work in."""
        return ThreatModel(video=self.epsilon, audio=self.epsilon)

    def load(self, part: Part) -> Clips:
        """The clips of a part, read once per process.

        Raises:
            DataError: if they are not of the form above, or the part is not given.
        """
        return _loaded(self, part)

    def sha256(self, part: Part) -> str:
        """Names the content of the clips of a part."""
        return _content(self, part)

    def read(self, part: Part) -> Clips:
        """The clips of a part, as `load`."""
        if not self.path.endswith(".npz"):
            batches = list(evaluation_batches(self.path, SPLITS[part], batch_size=BATCH_SIZE))
            return self._reduced(
                torch.cat([batch.video for batch in batches]),
                torch.cat([batch.audio for batch in batches]),
                torch.cat([batch.labels for batch in batches]),
            )
        file = {"train": self.train, "choose": self.choose, "report": self.path}[part]
        if file is None:
            raise DataError(f"bed '{self}' has no clips to {part}: name them as {part}=FILE.npz")
        video, audio, labels = _archive(Path(file))
        return self._reduced(video, audio, labels)

    def _reduced(self, video: Tensor, audio: Tensor, labels: Tensor) -> Clips:
        """With the wanted segments, pixels, bands and steps."""
        stored = video.shape[1]
        wanted = self.num_segments or stored
        if stored % wanted:
            raise DataError(f"bed '{self}': num_segments={wanted} does not divide the {stored} that are stored")
        every = stored // wanted
        video, audio = video[:, ::every], audio[:, ::every]
        frames = functional.avg_pool2d(video.flatten(0, 1), self.shrink)
        patches = functional.avg_pool2d(audio.flatten(0, 1)[:, None], self.shrink_audio)[:, 0]
        return Clips(
            frames.reshape(len(video), wanted, *frames.shape[1:]),
            patches.reshape(len(video), wanted, *patches.shape[1:]),
            labels,
        )


@lru_cache
def _content(bed: Bed, part: Part) -> str:
    clips, digest = bed.load(part), hashlib.sha256()
    for stream in (clips.video, clips.audio, clips.labels):
        digest.update(stream.contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache
def _loaded(bed: Bed, part: Part) -> Clips:
    return bed.read(part)


def _archive(file: Path) -> tuple[Tensor, Tensor, Tensor]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            video, audio, labels = (archive[name] for name in ("v", "a", "y"))
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(f"'{file}' is not an archive with v, a and y: {error}") from error
    shapes = f"v {video.dtype}{list(video.shape)}, a {audio.dtype}{list(audio.shape)}, y {list(labels.shape)}"
    is_right = video.ndim == 5 and video.shape[2] == 3 and audio.ndim == 5 and audio.shape[2] == 1 and labels.ndim == 1
    is_right = is_right and video.shape[:2] == audio.shape[:2] and len(video) == len(labels) > 0
    if not is_right or not video.dtype == audio.dtype == np.uint8:
        raise DataError(
            f"'{file}' holds {shapes}; allowed: v uint8 [clips, segments, 3, height, width], "
            "a uint8 [clips, segments, 1, mels, steps], y [clips]"
        )
    return (
        torch.from_numpy(video).float() / 255,
        torch.from_numpy(audio[:, :, 0]).float() / 255,
        torch.from_numpy(labels.astype(np.int64)),
    )
