"""NI-FGSM: MI-FGSM that looks where its momentum leads."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from training.attacks.ascent import Ascent
from training.attacks.base import Cost
from training.attacks.gradients import GradientAt, classification_gradient
from training.attacks.losses import LossName
from training.attacks.momentum_attack import MomentumAttack
from training.batch import Batch
from training.threat import ThreatModel


class NIFGSM(MomentumAttack):
    """Nesterov iterative FGSM: the gradient is taken at x + alpha mu m instead of at x.

        m = mu m + g(x + alpha mu m) / ||g(x + alpha mu m)||_1,    x = P(x + alpha sign m)

    Lin et al. 2020, arXiv:1908.06281, Section 3.2, Eq. 6 to 8. One pass per step; without momentum it is I-FGSM.

    What differs: m has mean size 1 per step taken instead of L1 norm 1, else the look-ahead would be smaller by the
    number of values of a clip and nothing would be looked at. For l2 threats it is divided by the root of that number,
    so that it is as long as a step (the paper is about linf). As in the paper, the point looked at is not projected: it
    may lie outside ball and box.
    """

    name: Literal["nifgsm"] = "nifgsm"
    loss: LossName = "cross_entropy"
    """What grows."""

    @property
    def cost_untargeted(self) -> Cost:
        """One pass per step."""
        return Cost(1, 1) * self.steps

    @property
    def ascent(self) -> Ascent:
        """MI-FGSM's, with the look-ahead."""
        return replace(super().ascent, look_ahead=True)

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The gradient of the loss at the point looked at."""
        return classification_gradient(self.loss)
