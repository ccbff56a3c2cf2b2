"""Free-AT: one backward pass moves the weights and the perturbation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn

from training.attacks.engine.ascent import Ascent
from training.attacks.engine.gradients import (
    Gradient,
    Streams,
    classification_gradient,
    detached_inputs,
    direction,
    normalised_or_noise,
)
from training.batch import MODALITIES, Batch
from training.models.dropout import drawing_by_clip
from training.objectives.base import Classifying, Loss, bare
from training.passes import Passes
from training.threat import ThreatModel


class FreeAT(Classifying):
    """Each batch is replayed m times; every replay's backward pass moves weights and clips (Shafahi et al. 2019).

    x' <- P(x' + alpha sign grad CE(x')) with the gradient that comes for free beside that of the weights: Algorithm 1
    of arXiv:1904.12843. Costs m = `replays` forward and m backward passes per batch, for m updates: with 1/m of the
    epochs it costs as much as standard training. (`free_at.yaml` has them.)

    What differs: the perturbation starts anew at a random point of the ball with each batch, where the paper goes on
    with that of the batch before, of other clips; so a clip's perturbation does not depend on the worker, and a
    training that is resumed at any step needs no state. One pass serves both ends, so this is the only crafting in
    training mode, dropout and batch statistics included, and a clip so certain that its loss has no slope left in
    single precision takes a random step.
    """

    name: Literal["free_at"] = "free_at"
    replays: PositiveInt = 4
    """m, updates per batch."""
    step_size: PositiveFloat = 1.0
    """alpha, each replay's step in units of epsilon."""
    threat: ThreatModel = ThreatModel()
    """The ball to defend."""

    @property
    def updates(self) -> int:
        """One per replay."""
        return self.replays

    def losses(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> Iterator[Loss]:
        """Cross-entropy on the clips as each replay finds them."""
        self.threat.check(batch)
        start = Ascent(steps=0, step_size=0.0, random_start=True)
        perturbed = start(bare(model), batch, self.threat, generator, classification_gradient())
        for replay in range(self.replays):
            clips, streams = detached_inputs(perturbed, self.threat.modalities)
            with drawing_by_clip(bare(model), batch.keys, generator, f"dropout {replay}"):
                loss = self.classification(model, clips)
            yield loss
            if replay + 1 < self.replays and streams:
                perturbed = self._moved(clips, batch, generator, replay)

    def _moved(self, clips: Batch, clean: Batch, generator: torch.Generator, replay: int) -> Batch:
        """The clips after a step along the gradient that the caller's backward pass has left at them."""
        gradients: Streams = {}
        for name in self.threat.modalities:
            gradient = clips.stream(name).grad
            assert gradient is not None, "the caller goes backward before it asks for the next loss"
            gradients[name] = gradient
        free = clips.video.new_zeros(len(clips))
        found = normalised_or_noise(Gradient(gradients, free), clips, self.threat, generator, f"gradient {replay}")
        moved: Streams = {name: clips.stream(name).detach() for name in MODALITIES}
        for name, stream in found.streams.items():
            moved[name] = moved[name] + self.step_size * self.threat.epsilon(name) * direction(stream, self.threat)
        return self.threat.project(clips.with_streams(**moved), around=clean)

    def cost(self, *, progress: float, num_segments: int) -> Passes:
        """One pass per replay."""
        return Passes(self.replays, self.replays)
