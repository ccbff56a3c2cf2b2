"""Does a clip's verdict depend on the clips beside it? Then an attack on a batch is one on its neighbours too."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.batch import Batch, per_clip


def companion_difference(
    model: nn.Module, batch: Batch, strangers: Batch, logits: Float[Tensor, "batch classes"]
) -> Float[Tensor, " batch"]:
    """Largest difference between each clip's logits in its batch and alone, or among strangers.

    Args:
        model: in evaluation mode.
        batch: the clips.
        strangers: as many others that take the places of every second clip, then of the rest.
        logits: of the clips in their batch.

    Returns:
        The difference per clip, in units of the logits.
    """
    alone = torch.cat([model(batch.video[[row]], batch.audio[[row]]).logits for row in range(len(batch))])
    differences = [alone - logits]
    is_even = torch.arange(len(batch), device=logits.device) % 2 == 0
    for stays in (is_even, ~is_even):
        video = torch.where(per_clip(stays, batch.video), batch.video, strangers.video)
        audio = torch.where(per_clip(stays, batch.audio), batch.audio, strangers.audio)
        found = model(video, audio).logits
        differences.append(torch.where(stays[:, None], found - logits, 0.0))
    return torch.stack(differences).abs().amax((0, 2))
