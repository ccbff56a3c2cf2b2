"""PAM: gradients along paths to plain colours and plain tones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeInt
from torch import nn

from training.attacks.base import MomentumAttack
from training.attacks.engine.gradients import Gradient, GradientAt, classification_gradient
from training.attacks.engine.losses import LossName
from training.attacks.engine.paths import COLOURS, baselines, between, replaced_where_allowed
from training.batch import Batch, Modality
from training.passes import Passes
from training.threat import ThreatModel


class PAM(MomentumAttack):
    """Path-augmented method: the gradient is summed over copies on paths from the clip to several baselines.

        g = grad_x [J(x) + sum_j sum_{i=1..n} J(2^-i x + (1 - 2^-i) b_j)],    then MI-FGSM

    Zhang et al., CVPR 2023, "Improving the Transferability of Adversarial Samples by Path-Augmented Method",
    arXiv:2303.15735, with its 8 colours and 4 scales. 1 + 8 * 4 = 33 passes per step. With black and silence alone
    (`num_baselines=1`) it is the scale-invariant method (Lin et al. 2020, arXiv:1908.06281, Section 3.3).

    What differs:

    * Audio has baselines of its own, paired with the colours: the levels of red, green and blue are those of the low,
      middle and high third of the mel bands, in log-mel patches as plain levels, in waveforms as noise (`baselines`).
    * The paper multiplies each b_j by a factor in [0.9, 1] from a network trained on clean images (the semantic
      predictor). There is none here: the factor is 1.
    * Paths run where the threat allows a change; the rest of the clip stays as it is.

    As the formula says, the interpolation is differentiated too: the gradient at a copy of scale i counts 2^-i times.
    """

    name: Literal["pam"] = "pam"
    num_baselines: Annotated[int, Field(ge=1, le=len(COLOURS))] = len(COLOURS)
    """Number of baselines with a path, in the order of `COLOURS`."""
    num_scales: NonNegativeInt = 4
    """n points of each path, each half as far from the baseline as the one before; 0 is MI-FGSM."""
    loss: LossName = "cross_entropy"
    """The loss that the attack maximises."""

    @property
    def cost_of_copy(self) -> Passes:
        """One pass per step for the clip and for each point of each path."""
        return Passes(1, 1) * self.steps * (1 + self.num_baselines * self.num_scales)

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The sum of the gradients at the clip and along its paths."""
        plain = classification_gradient(self.loss)
        ends = baselines(clean, threat, generator, num_baselines=self.num_baselines)

        def gradient(model: nn.Module, batch: Batch, modalities: Sequence[Modality]) -> Gradient:
            total = plain(model, batch, modalities)
            for end in ends:
                baseline = replaced_where_allowed(batch, end, threat)
                for scale in range(1, self.num_scales + 1):
                    share = 2.0**-scale
                    total = total.plus(plain(model, between(baseline, batch, share), modalities), weight=share)
            return total

        return gradient
