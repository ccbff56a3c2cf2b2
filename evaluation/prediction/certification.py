"""The smallest budgets with which an attack changes what a model says of clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor, nn

from evaluation.attack_lists import attack_label
from evaluation.prediction.config import PredictConfig
from evaluation.prediction.results import Certificate
from training.attacks import MinimalBudget
from training.batch import Batch


def certify(
    model: nn.Module, clips: Batch, predicted: Int[Tensor, " batch"], config: PredictConfig
) -> list[Certificate]:
    """Search each clip's smallest budget by bisection, an upper bound of the true one (`MinimalBudget`).

    Broken is a clip whose class is another than `predicted`, the class of the untouched clip.

    Raises:
        SettingsError: if the threat cannot apply to these clips.
    """
    search = MinimalBudget(attack=config.attack, rounds=config.rounds)
    largest = config.threat.scaled(config.largest_factor)
    generator = torch.Generator().manual_seed(config.seed)
    shares = search.smallest_factors(model, replace(clips, labels=predicted), largest, generator)
    return [_certificate(share, config) for share in shares.tolist()]


def weakest(certificates: Sequence[Certificate]) -> Certificate | None:
    """The certificate of the clip that breaks first; None if there is none."""
    return min(
        certificates, key=lambda each: (not each.is_broken, each.epsilon_video, each.epsilon_audio), default=None
    )


def _certificate(share: float, config: PredictConfig) -> Certificate:
    """Of a clip that breaks with this share of the largest budget; infinite: with none of it."""
    is_broken = share <= 1
    threat = config.threat.scaled(config.largest_factor * (share if is_broken else 1.0))
    return Certificate(
        is_broken=is_broken,
        threat=str(threat),
        epsilon_video=threat.video,
        epsilon_audio=threat.audio,
        attack=attack_label(config.attack),
    )
