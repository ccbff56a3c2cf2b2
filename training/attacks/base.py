"""The base of all attacks, with their guarantees: inside the budget, finite, model and random state left as found."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from preprocessing.errors import SettingsError
from preprocessing.settings import Settings
from training.attacks.engine.losses import TargetChoice, choose_targets, too_few_classes
from training.batch import Batch
from training.models.classifier import Outputs
from training.passes import Passes
from training.threat import ThreatModel


class Attack(Settings):
    """Numbers plus a call. Holds no model, no data and no device.

    `attack(model, batch, threat, generator)` returns the same clips perturbed, such that

    * every clip lies inside the threat's ball around its clean version and inside its box, and is finite;
    * a modality with epsilon 0 and a segment outside the threat's support are untouched, bit for bit, and the clean
      batch is not modified;
    * the model's modes, buffers, gradients and `requires_grad` flags and the global random state are as they were,
      also after an exception;
    * randomness depends on `generator.initial_seed()` and the clip's key only (the generator is not advanced), so a
      clip's result does not depend on the batch or the worker it came in.

    Clips are single or double precision; to compute in half precision, call it inside `torch.autocast`.
    """

    name: str

    def __call__(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Perturb the clips of `batch` within `threat` so that `model` gets them wrong.

        Raises:
            ValueError: if the threat model or the attack's target cannot apply to these clips.
        """
        threat.check(batch)
        if not threat.modalities:
            return batch
        clean = batch.with_streams(batch.video.detach(), batch.audio.detach())
        with frozen(model), torch.enable_grad():
            perturbed = self.perturb(model, self.aimed(model, clean, generator), threat, generator)
        return threat.project(perturbed, around=clean).with_targets(batch.targets)

    def aimed(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Batch:
        """The clips with the classes that they shall be mistaken for: none, unless the attack can be targeted."""
        return batch.with_targets(None)

    def obstacle(self, outputs: Outputs) -> str:
        """The reason why the attack cannot be run on a model with such outputs, of any clips; empty if it can."""
        loss = getattr(self, "loss", None)
        return "" if loss is None else too_few_classes(loss, outputs.logits.shape[1], is_targeted=self.is_targeted)

    @property
    def is_targeted(self) -> bool:
        """True if it goes for a class of its choice."""
        return False

    @abstractmethod
    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """The attack proper: `model` is in evaluation mode and its parameters take no gradients.

        It need not end inside the budget: the caller projects its result.
        """

    @property
    @abstractmethod
    def cost(self) -> Passes:
        """Passes of one call per clip, at most."""


class TargetableAttack(Attack):
    """An attack that can also be sent to a class of its own choice."""

    target: Literal["none", "given"] | TargetChoice = "none"
    """`none`: any class but the label. `given`: `batch.targets`. `least_likely`, `runner_up`: of the wrong classes by
    the clean clip's scores. `random`: any wrong class, per clip. The last three cost one more forward pass."""

    @property
    def is_targeted(self) -> bool:
        """True unless any class but the label will do."""
        return self.target != "none"

    def aimed(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Batch:
        """The clips with their targets."""
        match self.target:
            case "none":
                return batch.with_targets(None)
            case "given":
                if batch.targets is None:
                    raise SettingsError("target='given', but the batch has no targets")
                return batch
            case "least_likely" | "runner_up" | "random":
                with torch.no_grad():
                    logits = model(batch.video, batch.audio).logits
                return batch.with_targets(choose_targets(self.target, logits, batch, generator))

    @property
    def cost(self) -> Passes:
        """The attack's own cost, and the look at the clean clip that a target may need."""
        return self.cost_untargeted + Passes(0 if self.target in ("none", "given") else 1, 0)

    @property
    @abstractmethod
    def cost_untargeted(self) -> Passes:
        """Passes of one call per clip when the target is known."""


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without parameter gradients; each module and parameter gets its own flag back.

    Batch normalisation and dropout in training mode would mix the clips of a batch and drift the running statistics.
    """
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
