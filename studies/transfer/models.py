"""The trained models of a bed: each is trained once and kept for the next run."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from preprocessing.errors import DataError
from studies.transfer import architectures
from studies.transfer.architectures import ArchitectureName, SmallClassifier, build
from studies.transfer.beds import Bed, Clips
from training.attacks import PGD
from training.batch import Batch
from training.models.classifier import predicted_classes
from training.threat import ThreatModel

logger = logging.getLogger(__name__)

Kind = Literal["standard", "early", "robust"]
BATCH_SIZE = 64
LEARNING_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 6e-3, 1e-2, 0.05
EARLY = 0.25
"""Share of the epochs after which an early-stopped model is done."""
SLIGHT = 0.125
"""Share of the bed's budget that a slightly robust model is trained against, by PGD of two steps."""


@dataclass(frozen=True)
class Wish:
    """A model that is wanted."""

    bed: Bed
    architecture: ArchitectureName
    seed: int
    kind: Kind
    folder: Path

    @property
    def file(self) -> Path:
        """The weights' place: its name holds a digest of all that decides them."""
        decides = {
            "clips": self.bed.sha256("train"),
            "epochs": self.bed.epochs,
            "epsilon": self.bed.epsilon if self.kind == "robust" else None,
            "sources": [Path(source).read_text() for source in (__file__, architectures.__file__)],
        }
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:8]
        return self.folder / f"{self.bed}-{self.architecture}-{self.kind}-seed{self.seed}-{digest}.safetensors"


def make(wish: Wish) -> Path:
    """Train the model unless it is there; returns its weights' place."""
    if not wish.file.exists():
        clips = wish.bed.load("train")
        model = _trained(wish, clips)
        wish.folder.mkdir(parents=True, exist_ok=True)
        partial = wish.file.with_suffix(".partial")
        save_file(model.state_dict(), partial)
        partial.rename(wish.file)
        share = accuracy(model, clips.first(360).batches())
        logger.info("trained %s: %.1f %% of what it learned is right", wish.file.stem, 100 * share)
    return wish.file


def load(wish: Wish, num_classes: int) -> SmallClassifier:
    """A model that is trained."""
    model = build(wish.architecture, num_classes)
    model.load_state_dict(load_file(wish.file))
    return model.eval().requires_grad_(False)


@torch.no_grad()
def accuracy(model: SmallClassifier, batches: Sequence[Batch]) -> float:
    """Share of the clips that are right."""
    hits = [(predicted_classes(model(batch.video, batch.audio).logits) == batch.labels).float() for batch in batches]
    return float(torch.cat(hits).mean())


def _trained(wish: Wish, clips: Clips) -> SmallClassifier:
    """AdamW under one cycle of the learning rate, on clips that are shifted and coloured a little."""
    torch.manual_seed(int(hashlib.sha256(f"{wish.seed} {wish.architecture}".encode()).hexdigest()[:8], 16))
    model = build(wish.architecture, int(clips.labels.max()) + 1).train()
    num_steps = len(clips) // BATCH_SIZE
    if not num_steps:
        raise DataError(f"bed '{wish.bed}' has {len(clips)} clips to learn; allowed: {BATCH_SIZE} or more, one batch")
    epochs = max(1, round(wish.bed.epochs * (EARLY if wish.kind == "early" else 1.0)))
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE / 3, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=wish.bed.epochs * num_steps)
    attack, threat = PGD(steps=2), ThreatModel(video=SLIGHT * wish.bed.epsilon, audio=SLIGHT * wish.bed.epsilon)
    for epoch in range(epochs):
        order = torch.randperm(len(clips))
        for step in range(num_steps):
            rows = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            batch = _augmented(clips, rows)
            if wish.kind == "robust":
                batch = attack(model, batch, threat, torch.Generator().manual_seed(epoch))
            logits = model(batch.video, batch.audio).logits
            loss = functional.cross_entropy(logits, batch.labels, label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return model.eval()


def _augmented(clips: Clips, rows: torch.Tensor) -> Batch:
    """The clips of these rows, all shifted alike by up to an eighth, each with colours of its own strength."""
    video, audio = clips.video[rows], clips.audio[rows]
    strength = (1 + 0.2 * torch.randn(len(rows), 1, 3, 1, 1)).clamp(0.5, 1.5)
    reach = max(1, video.shape[-1] // 8)
    shifts = [int(shift) for shift in torch.randint(-reach, reach + 1, (2,))]
    bands = int(torch.randint(-1, 2, ()))
    return Batch(
        video=(video * strength).clamp(0, 1).roll(shifts, (3, 4)),
        audio=audio.roll(bands, 2),
        labels=clips.labels[rows],
        keys=tuple(str(row) for row in rows.tolist()),
    )
