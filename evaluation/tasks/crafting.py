"""One attack on the clips of one batch, held to its promises: what it returns is inside the threat model."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evaluation.masking.facts import full_precision
from evaluation.planning.plan import Measurement
from evaluation.stored.changes import allowed_distance, change_outside
from evaluation.stored.perturbations import Perturbation
from training.attacks.engine.expectation import repeated
from training.attacks.engine.moments import OtherMoments
from training.batch import MODALITIES, Batch


class BudgetError(RuntimeError):
    """An attack returned a clip outside its budget, its box or its segments: its numbers would be meaningless."""


def attack_checked(
    model: nn.Module, batch: Batch, measurement: Measurement, *, seed: int, moments: OtherMoments | None = None
) -> Perturbation:
    """Perturb the clips of a batch in full precision; randomness depends on `seed` and each clip's key only.

    Returns:
        The perturbations as they can be stored: rounded towards zero, which leaves no ball and no box. With `moments`
        they are those of the clips there.

    Raises:
        BudgetError: if a perturbed clip lies outside the budget, outside its box or differs in a spared segment.
    """
    generator, threat = torch.Generator().manual_seed(seed), measurement.threat
    with full_precision(batch):
        perturbed = measurement.attack(repeated(model, measurement.eot_samples), batch, threat, generator)
    _require_inside(measurement, perturbed, batch, outside=change_outside(threat, perturbed, batch))
    if moments is None:
        return Perturbation.of(perturbed, batch)
    sampled, untouched = moments.carried(perturbed, batch, threat), moments.untouched(batch)
    _require_inside(measurement, sampled, untouched, outside=torch.zeros_like(moments.delay))
    return Perturbation.of(sampled, untouched)


def _require_inside(
    measurement: Measurement, perturbed: Batch, clean: Batch, *, outside: Float[Tensor, " batch"]
) -> None:
    """Refuse clips that an attack has moved too far, or `outside` the segments that it may touch."""
    threat = measurement.threat
    distances = threat.distances(perturbed, clean)
    for name in MODALITIES:
        distance, stream, epsilon, (low, high) = (
            distances[name],
            perturbed.stream(name),
            threat.epsilon(name),
            threat.box(name),
        )
        is_in_box = ((stream >= low) & (stream <= high)).flatten(1).all(1)
        is_inside = (distance <= allowed_distance(epsilon)) & is_in_box & (outside == 0)
        if not bool(is_inside.all()):
            lost = int((~is_inside).nonzero()[0])
            raise BudgetError(
                f"attack '{measurement.label}' left {threat}: clip '{clean.keys[lost]}' has {name} at distance "
                f"{float(distance[lost]):g} (allowed {epsilon:g}), values outside [{low:g}, {high:g}], or a change of "
                f"{float(outside[lost]):g} in a segment that must stay as it is"
            )
