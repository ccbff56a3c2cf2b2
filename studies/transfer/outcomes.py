"""What becomes of clips on all models of a bed when they are attacked on some of them; kept for the next run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import nn

import training.attacks
import training.threat
from studies.transfer.architectures import ArchitectureName
from studies.transfer.attacks import Contender
from studies.transfer.beds import Bed, Part
from studies.transfer.models import Kind, Wish, load
from training.batch import MODALITIES, Batch
from training.models import Ensemble
from training.models.classifier import predicted_classes


@dataclass(frozen=True)
class Job:
    """One attack on the models of one seed of a bed."""

    bed: Bed
    part: Part
    num_clips: int
    architectures: tuple[ArchitectureName, ...]
    seed: int
    contender: Contender
    models: Path
    folder: Path

    def wish(self, architecture: ArchitectureName, kind: Kind = "standard") -> Wish:
        """One of the models."""
        return Wish(self.bed, architecture, self.seed, kind, self.models)


@dataclass(frozen=True)
class Found:
    """Truths per surrogate, victim and clip; surrogate i is of the architecture of victim i."""

    is_right: Bool[np.ndarray, "victims clips"]
    """Whether the victim gets the clean clip right."""
    white_box: Bool[np.ndarray, "surrogates clips"]
    """Whether the attack succeeds on its own surrogate, which was right."""
    own_right: Bool[np.ndarray, "surrogates clips"]
    """Whether the surrogate was right."""
    same_moments: Bool[np.ndarray, "surrogates victims clips"]
    """Whether the victim gets the attacked clip wrong."""
    other_moments: Bool[np.ndarray, "surrogates victims clips"]
    """The same where every perturbation meets the segment after the one that it was made for."""


def outcomes(job: Job) -> Found:
    """Make the attack unless that has been done."""
    clips = job.bed.load(job.part).first(job.num_clips)
    file = job.folder / f"{_digest(job, clips.video, clips.audio)}.npz"
    if not file.exists():
        batches = clips.batches()
        num_classes = int(job.bed.load("train").labels.max()) + 1
        victims = [load(job.wish(name), num_classes) for name in job.architectures]
        found = _attacked(job, batches, victims, num_classes)
        job.folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial.npz")
        np.savez_compressed(partial, **vars(found))
        partial.rename(file)
    with np.load(file) as kept:
        return Found(**kept)


def _attacked(job: Job, batches: list[Batch], victims: Sequence[nn.Module], num_classes: int) -> Found:
    is_right = np.stack([_right(victim, batches) for victim in victims])
    own_right, white_box, same, other = [], [], [], []
    for number, name in enumerate(job.architectures):
        surrogate = _surrogate(job, victims, number, name, num_classes)
        generator = torch.Generator().manual_seed(job.seed)
        perturbed = [job.contender.attack(surrogate, batch, job.bed.threat, generator) for batch in batches]
        late = [_one_segment_late(clean, attacked) for clean, attacked in zip(batches, perturbed, strict=True)]
        own_right.append(_right(surrogate, batches))
        white_box.append(own_right[-1] & ~_right(surrogate, perturbed))
        same.append(np.stack([~_right(victim, perturbed) for victim in victims]))
        other.append(np.stack([~_right(victim, late) for victim in victims]))
    return Found(is_right, np.stack(white_box), np.stack(own_right), np.stack(same), np.stack(other))


def _surrogate(
    job: Job, victims: Sequence[nn.Module], number: int, name: ArchitectureName, num_classes: int
) -> nn.Module:
    """The model that is attacked; an ensemble is of all but the victim of that number."""
    kind = job.contender.surrogates
    if kind == "ensemble":
        return Ensemble([victim for other, victim in enumerate(victims) if other != number])
    return victims[number] if kind == "standard" else load(job.wish(name, kind), num_classes)


def _one_segment_late(clean: Batch, perturbed: Batch) -> Batch:
    """Each segment with the perturbation of the one before, inside the box; the first has the last one's."""
    moved = {
        name: (clean.stream(name) + (perturbed.stream(name) - clean.stream(name)).roll(1, 1)).clamp(0, 1)
        for name in MODALITIES
    }
    return clean.with_streams(moved["video"], moved["audio"])


@torch.no_grad()
def _right(model: nn.Module, batches: list[Batch]) -> Bool[np.ndarray, " clips"]:
    found = [(predicted_classes(model(batch.video, batch.audio).logits) == batch.labels).numpy() for batch in batches]
    return np.concatenate(found)


def _digest(job: Job, *clips: torch.Tensor) -> str:
    """All that decides an outcome."""
    sources = [Path(training.threat.__file__), *sorted(Path(training.attacks.__file__).parent.rglob("*.py"))]
    kinds: list[Kind] = ["standard"]
    if job.contender.surrogates in ("early", "robust"):
        kinds.append(job.contender.surrogates)
    decides = {
        "attack": job.contender.attack.model_dump(mode="json"),
        "surrogates": job.contender.surrogates,
        "threat": str(job.bed.threat),
        "clips": [hashlib.sha256(stream.numpy().tobytes()).hexdigest() for stream in clips],
        "models": [
            hashlib.sha256(job.wish(name, kind).file.read_bytes()).hexdigest()
            for kind in kinds
            for name in job.architectures
        ],
        "seed": job.seed,
        "sources": hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest(),
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
