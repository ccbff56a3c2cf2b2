"""MIG: momentum over integrated gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import nn

from training.attacks.base import MomentumAttack
from training.attacks.engine.gradients import Gradient, GradientAt, Streams, classification_gradient
from training.attacks.engine.paths import between, replaced_where_allowed
from training.batch import MODALITIES, Batch, Modality
from training.passes import Passes
from training.threat import ThreatModel

Attribution = Literal["integrated", "path_average"]


class MIG(MomentumAttack):
    """Momentum integrated gradients: the step lowers what the clip's values contribute to the probability p_y.

        IG = (x - b) * 1/s sum_{i=1..s} grad p_y(b + i/s (x - b))
        m = mu m + IG / ||IG||_1,    x = P(x - alpha sign m)

    Ma et al., ICCV 2023, "Transferable Adversarial Attack for Both Vision Transformers and Convolutional Networks via
    Momentum Integrated Gradients", with the integrated gradients of Sundararajan et al. 2017, arXiv:1703.01365, Eq. 3.
    A targeted attack raises p_t. s passes per step.

    What differs:

    * The baseline b is the smallest value of each modality's box: 0 for frames and log-mel patches, as in the paper,
      and -1 for waveforms. There x - b >= 0, as the sign of the step requires: with the zero of a signed stream it
      would turn around wherever a sample is negative. A value exactly at the baseline contributes nothing and stays,
      unless `attribution` is `path_average`.
    * Paths run where the threat allows a change; the rest of the clip stays as it is.
    * The gradient at path point i counts as defined above, not i/s times, as it does where the interpolation is
      differentiated together with the model.
    """

    name: Literal["mig"] = "mig"
    num_points: PositiveInt = 20
    """s points of the path, the clip among them and the baseline not."""
    attribution: Attribution = "integrated"
    """`integrated`: the contributions, IG. `path_average`: without the factor x - b, the mean gradient along the path;
    with one point that is MI-FGSM."""

    @property
    def cost_of_copy(self) -> Passes:
        """s passes per step."""
        return Passes(1, 1) * self.steps * self.num_points

    def gradient(self, clean: Batch, threat: ThreatModel, generator: torch.Generator) -> GradientAt:
        """The contributions of the values to -p_y, or to p_t."""
        return path_gradient(self.num_points, self.attribution, threat)


def path_gradient(num_points: int, attribution: Attribution, threat: ThreatModel) -> GradientAt:
    """Integrated gradients of -p_y (targeted p_t), or the mean gradient, by the right Riemann sum along the path."""
    plain = classification_gradient("probability")

    def gradient(model: nn.Module, batch: Batch, modalities: Sequence[Modality]) -> Gradient:
        lowest: Streams = {name: torch.tensor(threat.box(name)[0]) for name in MODALITIES}
        baseline = replaced_where_allowed(batch, lowest, threat)
        total = plain(model, between(baseline, batch, 1 / num_points), modalities)
        for number in range(2, num_points + 1):
            total = total.plus(plain(model, between(baseline, batch, number / num_points), modalities))
        mean = Gradient(total.streams, total.log_scale - math.log(num_points))
        if attribution == "path_average":
            return mean
        contributions: Streams = {
            name: (batch.stream(name) - baseline.stream(name)) * stream for name, stream in mean.streams.items()
        }
        return Gradient(contributions, mean.log_scale)

    return gradient
