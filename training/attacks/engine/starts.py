"""Random starting points at a given distance from the clean clips, for attacks with restarts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from training.attacks.engine.gradients import Streams
from training.attacks.engine.randomness import normal_like, uniform_like
from training.batch import Batch, per_clip
from training.threat import ThreatModel


def start_at_radius(
    batch: Batch,
    threat: ThreatModel,
    generator: torch.Generator,
    purpose: str,
    radius: Float[Tensor, " batch"] | float = 1.0,
) -> Batch:
    """A random point whose distance from each clip is `radius` budgets in every modality, then cut off at the box.

    Uniform noise for `linf`, its largest entry scaled to the radius; for `l2` normal noise, whose direction is
    uniform, of that length. (So does AutoAttack's code; Croce & Hein 2020, arXiv:2003.01690, name no start.)
    """
    moved: Streams = {"video": batch.video, "audio": batch.audio}
    for name in threat.modalities:
        stream = batch.stream(name)
        draw = uniform_like if threat.geometry.is_per_value else normal_like
        noise = draw(stream, batch.keys, generator, f"{name} {purpose}") * threat.support(stream)
        scale = threat.epsilon(name) * radius / threat.length(noise)
        moved[name] = (stream + noise * per_clip(scale, noise)).clamp(*threat.box(name))
    return batch.with_streams(**moved)
