"""Base classes of objectives, which hold everything in which training methods differ: so there is one loop."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from preprocessing.settings import Settings
from training.batch import Batch
from training.models import Outputs
from training.models.dropout import drawing_by_clip
from training.passes import Passes

Logits = Float[Tensor, "batch classes"]


@dataclass(frozen=True)
class Loss:
    """The scalar to minimise, and what is logged beside it."""

    total: Tensor
    """Scalar with a graph, averaged over the batch."""
    parts: dict[str, Tensor]
    """Detached scalars by name."""


Forward = Callable[[Tensor, Tensor], Outputs]
"""A classifier, or anything that answers like one: (frames, sound) -> outputs."""
LossOf = Callable[[Forward], Loss]
"""A loss as a function of the classifier alone: the clips are crafted already."""


class Objective(Settings):
    """Numbers plus a method: owns its attack, threat model and curriculum. Holds no model, no data and no device.

    * Crafting sees the bare classifier in evaluation mode; modes, batch statistics, parameter gradients and the global
      random state are afterwards as they were. Only the loss itself runs the model as the loop has set it up.
    * Randomness is decided by the generator's initial seed and the clips' keys, that of dropout too; so a clip is
      treated alike in whichever batch and worker it comes.
    * All workers run the model in training mode, and exchange anything else, equally often and in the same order.
    """

    name: str

    @property
    def updates(self) -> int:
        """Weight updates per batch."""
        return 1

    @abstractmethod
    def losses(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> Iterator[Loss]:
        """The loss of each of the `updates` on `batch`; the caller goes backward and steps before it asks for the next.

        Args:
            model: the classifier or its distributed wrapper, whose gradients are synchronised once per loss.
            batch: clean clips.
            progress: fraction of training that is done, in [0, 1]; moves curricula.
            generator: its initial seed and the clips' keys decide all randomness.
        """

    @abstractmethod
    def cost(self, *, progress: float, num_segments: int) -> Passes:
        """Passes that a batch of clips of `num_segments` segments takes at `progress`, all its updates together.

        It is exact unless an attack leaves out clips that are fooled already.
        """

    def for_next_epoch(self, accuracies: Sequence[float]) -> Objective:
        """The objective of the next epoch: `accuracies` are the robust ones on validation after each epoch before it.

        Its adaptive schedules, if it has any, stand still at the level that these call for.
        """
        return self

    def settings_at(self, progress: float) -> dict[str, float]:
        """Values that the curriculum has set at `progress`, for the log."""
        return {}


class SingleUpdate(Objective):
    """An objective that crafts its clips and then takes one loss of them, as most do."""

    @abstractmethod
    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Craft with the bare classifier `model`, and give the loss of what was crafted."""

    def losses(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> Iterator[Loss]:
        """The one loss."""
        with drawing_by_clip(bare(model), batch.keys, generator):
            loss = self.prepare(bare(model), batch, progress=progress, generator=generator)(model)
        yield loss

    def crafting_cost(self, *, progress: float, num_segments: int) -> Passes:
        """Passes of `prepare`: none, unless an objective says otherwise."""
        return Passes()

    @property
    def loss_cost(self) -> Passes:
        """Passes of the loss and its gradient: each clip is seen once, unless an objective says otherwise."""
        return Passes(1, 1)

    def cost(self, *, progress: float, num_segments: int) -> Passes:
        """Crafting, and the loss."""
        return self.crafting_cost(progress=progress, num_segments=num_segments) + self.loss_cost


class Classifying(Objective):
    """An objective in whose loss there is a cross-entropy of labels: they can be smoothed."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes in the cross-entropy (Szegedy et al. 2016, arXiv:1512.00567,
    Section 7). Other terms of the loss are as without it, and attacks climb the loss of the label itself."""

    def cross_entropies(self, logits: Logits, labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Cross-entropy of the smoothed labels per clip, in nats."""
        return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)

    def classification(self, forward: Forward, batch: Batch) -> Loss:
        """Mean cross-entropy of the smoothed labels, with the batch's accuracy beside it."""
        logits = forward(batch.video, batch.audio).logits
        total = self.cross_entropies(logits, batch.labels).mean()
        parts = {"cross_entropy": total.detach(), "accuracy": accuracy(logits, batch.labels)}
        return Loss(total, parts)


def bare(model: nn.Module) -> nn.Module:
    """The module inside a distributed wrapper: crafting must neither synchronise nor count gradients."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def accuracy(logits: Logits, labels: Int[Tensor, " batch"]) -> Tensor:
    """Share of the clips whose largest score is the label's; detached."""
    return (logits.detach().argmax(1) == labels).float().mean()


def logits_of_both(forward: Forward, clean: Batch, perturbed: Batch) -> tuple[Logits, Logits]:
    """Scores of the clean and of the perturbed clips from one forward pass over both.

    One pass, because a distributed wrapper synchronises once per pass. Batch normalisation sees both kinds of clips
    together, where two passes would give each its own statistics.
    """
    logits = forward(torch.cat([clean.video, perturbed.video]), torch.cat([clean.audio, perturbed.audio])).logits
    of_clean, of_perturbed = logits.chunk(2)
    return of_clean, of_perturbed
