"""What becomes of clips on every victim when they are attacked on one surrogate; kept for the next run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool

import training.attacks
import training.threat
from preprocessing.schema import Split
from preprocessing.storage.records import load_index
from studies.training.trainings import Trained
from training.attacks import Attack
from training.batch import Batch
from training.checkpoint import load_model, model_sha256
from training.data import evaluation_batches
from training.models import Classifier
from training.models.classifier import predicted_classes
from training.threat import ThreatModel

BATCH_SIZE = 32


@dataclass(frozen=True)
class Clips:
    """Which clips: the first `count` of these splits together."""

    data: str
    splits: tuple[Split, ...]
    count: int

    def load(self) -> list[Batch]:
        """The clips in batches."""
        batches: list[Batch] = []
        remaining = self.count
        for split in self.splits:
            if remaining:
                batches += evaluation_batches(self.data, split, batch_size=BATCH_SIZE, limit=remaining)
                remaining = self.count - sum(map(len, batches))
        return batches


@dataclass(frozen=True)
class Job:
    """Attacks to be made on one surrogate, and the models they are carried to."""

    clips: Clips
    surrogate: Trained
    victims: tuple[Path, ...]
    threat: ThreatModel
    attacks: Mapping[str, Attack]
    folder: Path
    """Where outcomes are kept, one file per attack under a digest of all that decides it."""

    def __str__(self) -> str:
        return f"{self.surrogate.name}, seed {self.surrogate.seed}, {self.threat}"


def outcomes(job: Job) -> dict[str, Bool[np.ndarray, "victims clips"]]:
    """Per attack, whether each victim gets each attacked clip wrong."""
    clips = job.clips.load()
    shared = _decides(job, clips)
    files = {name: job.folder / f"{_digest(shared, attack)}.npy" for name, attack in job.attacks.items()}
    if missing := [name for name, file in files.items() if not file.exists()]:
        job.folder.mkdir(parents=True, exist_ok=True)
        surrogate = load_model(job.surrogate.checkpoint)[0]
        victims = [load_model(folder)[0] for folder in job.victims]
        for name in missing:
            generator = torch.Generator().manual_seed(job.surrogate.seed)
            perturbed = [job.attacks[name](surrogate, batch, job.threat, generator) for batch in clips]
            partial = files[name].with_suffix(".partial.npy")
            np.save(partial, np.stack([~_is_right(victim, perturbed) for victim in victims]))
            partial.rename(files[name])
    return {name: np.load(file) for name, file in files.items()}


def clean_rights(clips: Clips, victims: tuple[Path, ...]) -> Bool[np.ndarray, "victims clips"]:
    """Whether each victim gets each clip right when nobody has touched it."""
    batches = clips.load()
    return np.stack([_is_right(load_model(folder)[0], batches) for folder in victims])


@torch.no_grad()
def _is_right(model: Classifier, batches: list[Batch]) -> Bool[np.ndarray, " clips"]:
    found = [(predicted_classes(model(batch.video, batch.audio).logits) == batch.labels).numpy() for batch in batches]
    return np.concatenate(found)


def _decides(job: Job, clips: list[Batch]) -> dict[str, object]:
    """All that decides an outcome, but the attack's settings."""
    sources = [Path(training.threat.__file__), *sorted(Path(training.attacks.__file__).parent.rglob("*.py"))]
    return {
        "threat": job.threat.model_dump(mode="json"),
        "surrogate": model_sha256(job.surrogate.checkpoint),
        "seed": job.surrogate.seed,
        "victims": [model_sha256(folder) for folder in job.victims],
        "data": load_index(job.clips.data).content_sha256,
        "clips": [key for batch in clips for key in batch.keys],
        "sources": hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest(),
    }


def _digest(shared: dict[str, object], attack: Attack) -> str:
    decides = json.dumps({**shared, "attack": attack.model_dump(mode="json")}, sort_keys=True)
    return hashlib.sha256(decides.encode()).hexdigest()[:16]
