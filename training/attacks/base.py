"""The bases of attacks, with their guarantees: inside the budget, finite, model and random state left as found."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from preprocessing.errors import SettingsError
from preprocessing.settings import Settings
from training.attacks.engine.ascent import NOT_SHARED, NOT_SMOOTHED, Ascent, default_step_size
from training.attacks.engine.averaging import Smoothing, TemporalGroups
from training.attacks.engine.gradients import GradientAt, classification_gradient
from training.attacks.engine.input_transforms import AnyInputTransform, num_copies
from training.attacks.engine.losses import LossName, TargetChoice, choose_targets, too_few_classes
from training.attacks.engine.momentum import MomentumNorm
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


class MomentumAttack(TargetableAttack):
    """K steps along the accumulated gradient, from the clean clip; a member says what is accumulated, its g.

        m = mu m + g / ||g||_1,    x = P(x + alpha sign m),    alpha = epsilon / K

    The gradient is divided by its mean absolute value instead of its L1 norm: equal up to a constant per clip that the
    sign ignores. For l2 threats m / ||m||_2 takes the place of the sign.
    """

    steps: PositiveInt = 10
    """K gradient steps."""
    step_size: PositiveFloat | None = None
    """alpha, in units of epsilon; unset = 1 / K, as published; twice that fooled a few clips more."""
    momentum: NonNegativeFloat = 1.0
    """Decay mu of the accumulated gradient; 0 = only the last gradient counts."""
    momentum_norm: MomentumNorm = "per_modality"
    """The mean size that a gradient is divided by: its modality's, each segment's, or both modalities' common one in
    units of epsilon."""
    smoothing: Smoothing = NOT_SMOOTHED
    """The kernel that the gradient is smoothed with, as in TI-FGSM."""
    sharing: TemporalGroups = NOT_SHARED
    """Neighbouring segments that move together."""
    input_transforms: tuple[AnyInputTransform, ...] = ()
    """Transformations, one after the other, of the clip that each gradient is taken at: `di`, `si`, `admix`. The passes
    multiply by the copies that they make."""

    @property
    def default_step_size(self) -> float:
        """alpha where it is unset."""
        return default_step_size(self.steps, random_start=False)

    @property
    def ascent(self) -> Ascent:
        """The loop that takes the steps."""
        return Ascent(
            steps=self.steps,
            step_size=self.step_size or self.default_step_size,
            momentum=self.momentum,
            momentum_norm=self.momentum_norm,
            smoothing=self.smoothing,
            sharing=self.sharing,
            input_transforms=self.input_transforms,
        )

    @property
    def cost_untargeted(self) -> Passes:
        """Passes of all copies that the input transformations make."""
        return self.cost_of_copy * num_copies(self.input_transforms)

    @property
    @abstractmethod
    def cost_of_copy(self) -> Passes:
        """Passes of one call per clip where no input transformation makes copies."""

    @abstractmethod
    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The gradient that the steps follow, for one attack on these clips."""

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Take K steps along the accumulated gradient."""
        return self.ascent(model, batch, threat, generator, self.gradient(batch, threat, generator))


class LossMomentumAttack(MomentumAttack):
    """A momentum attack whose g is the gradient of the loss, one pass per step."""

    loss: LossName = "cross_entropy"
    """The loss that the attack maximises."""

    @property
    def cost_of_copy(self) -> Passes:
        """One pass per step."""
        return Passes(1, 1) * self.steps

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The gradient of the loss."""
        return classification_gradient(self.loss)


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
