"""The best of several attempts on each clip: what restarts and ensembles of attacks keep."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from training.attacks.engine.losses import margin
from training.batch import Batch, per_clip
from training.threat import ThreatModel


class BestAttempt:
    """Keeps each clip's best attempt so far, by how far it brings the model to the wrong side (its margin).

    An attempt is measured inside budget and box, as the caller of an attack will see it. Clips that are fooled need
    no further attempt: `remaining` leaves them out. The clean clip is no attempt: a clip that the model gets wrong
    untouched is attacked at least once.
    """

    def __init__(self, model: nn.Module, clean: Batch, threat: ThreatModel) -> None:
        self._model = model
        self._clean = clean
        self._threat = threat
        self.best = clean
        self.margins: Float[Tensor, " batch"] = torch.full_like(clean.labels, -torch.inf, dtype=torch.float64)

    @property
    def is_fooled(self) -> Bool[Tensor, " batch"]:
        """True for clips that have been brought to the wrong side, or to the target."""
        return self.margins > 0

    @property
    def remaining(self) -> Int[Tensor, " remaining"]:
        """Positions of the clips that are not fooled yet."""
        return (~self.is_fooled).nonzero()[:, 0]

    def evaluate(self, rows: Int[Tensor, " chosen"], attempt: Batch) -> None:
        """Measure an attempt on the clips at these positions (one forward pass); the better one per clip stays."""
        clean = self._clean.select(rows)
        inside = self._threat.project(attempt, around=clean).with_targets(clean.targets)
        self.update(rows, inside, measured_margin(self._model, inside))

    def update(self, rows: Int[Tensor, " chosen"], attempt: Batch, margins: Float[Tensor, " chosen"]) -> None:
        """Enter an attempt inside the budget whose margins are known, from `measured_margin` or `attack_margin`."""
        is_better = margins > self.margins[rows]
        better = rows[is_better]
        self.margins[better] = margins[is_better]
        self.best = replaced(self.best, better, attempt.select(is_better.nonzero()[:, 0]))


def measured_margin(model: nn.Module, clips: Batch) -> Float[Tensor, " batch"]:
    """The margin by which these clips fool the model: one forward pass, without gradients."""
    with torch.no_grad():
        return attack_margin(model(clips.video, clips.audio).logits, clips)


def attack_margin(logits: Float[Tensor, "batch classes"], clips: Batch) -> Float[Tensor, " batch"]:
    """The margin in double precision: positive exactly where the model is fooled, infinite if it is not a number."""
    # Scores that are no numbers name no class, so the model is wrong; inf - inf of two of them would be NaN too.
    return margin(logits, clips).double().nan_to_num(nan=torch.inf, posinf=torch.inf)


def replaced(batch: Batch, rows: Int[Tensor, " chosen"], by: Batch) -> Batch:
    """The clips of `batch`, those at these positions replaced."""
    if not len(rows):
        return batch
    return batch.with_streams(
        batch.video.index_copy(0, rows, by.video),
        batch.audio.index_copy(0, rows, by.audio),
    )


def chosen(is_first: Bool[Tensor, " batch"], first: Batch, second: Batch) -> Batch:
    """Clip by clip one of two batches."""
    return second.with_streams(
        torch.where(per_clip(is_first, second.video), first.video, second.video),
        torch.where(per_clip(is_first, second.audio), first.audio, second.audio),
    )
