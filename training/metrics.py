"""Numbers that are summed over batches and workers before anybody looks at them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor, distributed
from torch.nn import functional

from training.models import Outputs

T = TypeVar("T")


@dataclass(frozen=True)
class Sums:
    """Sums of one worker so far, as plain numbers that can be stored."""

    by_name: dict[str, float] = field(default_factory=dict)
    """Weighted sums."""
    weight: int = 0
    """Clips they stand for."""


def total_of(sums: Sequence[Sums]) -> Sums:
    """Sums of several workers together; all of them know the same names."""
    names = sums[0].by_name
    return Sums(
        {name: math.fsum(each.by_name[name] for each in sums) for name in names}, sum(each.weight for each in sums)
    )


class Means:
    """Weighted means by name, exact over all workers: sums and weights are added once, at the end."""

    def __init__(self, *names: str) -> None:
        """Set the names in advance if a worker may have nothing to add: all workers must know the same ones."""
        self._sums: dict[str, Tensor | float] = dict.fromkeys(names, 0.0)
        self._weight = 0

    @classmethod
    def going_on(cls, sums: Sums) -> Means:
        """Go on from what was added up before."""
        means = cls()
        means._sums.update(sums.by_name)
        means._weight = sums.weight
        return means

    @property
    def sums(self) -> Sums:
        """Sums of this worker so far."""
        return Sums({name: float(value) for name, value in self._sums.items()}, self._weight)

    def add(self, values: Mapping[str, Tensor], *, weight: int) -> None:
        """Add a batch's mean values, which stand for `weight` clips; the names are the same every time."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().double() * weight
        self._weight += weight

    def reduce(self, device: torch.device) -> dict[str, float]:
        """The means over all workers, 0 if nobody added anything; every worker must call this."""
        values = [*self._sums.values(), self._weight]
        totals = torch.stack([torch.as_tensor(value, dtype=torch.float64, device=device) for value in values])
        if distributed.is_initialized():
            distributed.all_reduce(totals)
        return dict(zip(self._sums, (totals[:-1] / totals[-1].clamp_min(1.0)).tolist(), strict=True))


class ModalityGap:
    """Distance of the modalities' features (Liang et al. 2022, arXiv:2203.02053, Section 2.1).

    `modality_gap` is the distance between the mean of the clips' video features and that of their audio features, each
    the mean over its segments, then brought to length 1: from 0 to 2. `modality_agreement` is the mean cosine of a
    clip's two, exact over all workers like the gap. Clips without finite features are left out: they lie nowhere.
    Accuracy counts them wrong.
    """

    def __init__(self, feature_size: int) -> None:
        self._sums = torch.zeros(2 * feature_size + 2, dtype=torch.float64)

    def add(self, outputs: Outputs) -> None:
        """Add a batch of clips."""
        assert outputs.video_features is not None, "a Classifier has them"
        assert outputs.audio_features is not None, "a Classifier has them"
        video, audio = (
            functional.normalize(features.detach().mean(1).double(), dim=1)
            for features in (outputs.video_features, outputs.audio_features)
        )
        is_finite = (video.isfinite() & audio.isfinite()).all(1)
        video, audio = video[is_finite], audio[is_finite]
        agreement = (video * audio).sum().reshape(1)
        count = torch.tensor([len(video)], device=video.device)
        self._sums = self._sums.to(video.device) + torch.cat([video.sum(0), audio.sum(0), agreement, count])

    def reduce(self, device: torch.device) -> dict[str, float]:
        """Both numbers over all workers, 0 if nobody added anything; every worker must call this."""
        totals = self._sums.to(device)
        if distributed.is_initialized():
            distributed.all_reduce(totals)
        means = totals[:-1] / totals[-1].clamp_min(1.0)
        video, audio = means[:-1].chunk(2)
        return {"modality_gap": float((video - audio).norm()), "modality_agreement": float(means[-1])}


class TimedIterator(Generic[T]):
    """Passes items on and counts the seconds that were spent waiting for them."""

    def __init__(self, items: Iterable[T], *, seconds: float = 0.0) -> None:
        """Go on counting from `seconds`."""
        self._items = iter(items)
        self.seconds = seconds

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        started = time.monotonic()
        try:
            return next(self._items)
        finally:
            self.seconds += time.monotonic() - started
