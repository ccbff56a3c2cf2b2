"""The best of several attempts on each clip: what restarts and ensembles of attacks keep."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from training.attacks.losses import margin
from training.batch import Batch
from training.threat import ThreatModel


class Contest:
    """Keeps each clip's best attempt so far, by how far it brings the model to the wrong side (its margin).

    An attempt is looked at inside budget and box, as the caller of an attack will see it. Clips that are fooled need
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
        """Which clips have been brought to the wrong side, or to the target."""
        return self.margins > 0

    @property
    def remaining(self) -> Int[Tensor, " remaining"]:
        """Positions of the clips that are not fooled yet."""
        return (~self.is_fooled).nonzero()[:, 0]

    def enter(self, rows: Int[Tensor, " chosen"], attempt: Batch) -> None:
        """Judge an attempt on the clips at these positions (one forward pass); the better one per clip stays."""
        inside = self._threat.project(attempt, around=self._clean.select(rows))
        with torch.no_grad():
            logits = self._model(inside.video, inside.audio).logits
        self.enter_judged(rows, inside, margin(logits, inside))

    def enter_judged(self, rows: Int[Tensor, " chosen"], attempt: Batch, margins: Float[Tensor, " chosen"]) -> None:
        """Enter an attempt inside the budget whose margins are known; one that is not finite has fooled the model."""
        found = margins.double().nan_to_num(nan=torch.inf)
        is_better = found > self.margins[rows]
        better = rows[is_better]
        self.margins[better] = found[is_better]
        self.best = self.best.with_streams(
            _replaced(self.best.video, better, attempt.video[is_better]),
            _replaced(self.best.audio, better, attempt.audio[is_better]),
        )


def _replaced(stream: Tensor, rows: Tensor, by: Tensor) -> Tensor:
    return stream.index_copy(0, rows, by) if len(rows) else stream
