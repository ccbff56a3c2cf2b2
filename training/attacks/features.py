"""The two weaknesses as terms at the features: what stays the same over time, and what the modalities agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.attacks.gradients import Gradient, GradientAt, back, classification_gradient, leaves
from training.attacks.losses import LossName, attack_loss, slope_at_logits
from training.batch import Batch, Modality
from training.models.classifier import Outputs
from training.threat import per_clip

Combination = Literal["normalised", "weighted"]
Features = Float[Tensor, "batch segments features"]


@dataclass(frozen=True)
class Weights:
    """How much each term counts beside the classification loss."""

    temporal: float
    """lambda_T."""
    modality: float
    """lambda_M."""


def temporal_variation(video_features: Features, audio_features: Features) -> Float[Tensor, " batch"]:
    """L_T: mean over modalities and t < T of ||z[t+1] - z[t]||^2, z the L2-normalised features.

    One reading of arXiv:2502.11858, Eq. 2: the variation of features over consecutive segments.
    """
    return torch.stack(
        [
            functional.normalize(features, dim=2).diff(dim=1).square().sum(2).mean(1)
            for features in (video_features, audio_features)
        ]
    ).mean(0)


def modality_agreement(video_features: Features, audio_features: Features) -> Float[Tensor, " batch"]:
    """L_M: cosine between the modalities' normalised features averaged over time (arXiv:2502.11858, Eq. 3).

    The printed Eq. 3 divides by the squared dot product, which would reward agreement; the text wants it broken.
    """
    video_mean, audio_mean = (
        functional.normalize(features, dim=2).mean(1) for features in (video_features, audio_features)
    )
    return functional.cosine_similarity(video_mean, audio_mean, dim=1)


def tempered_gradient(weights: Weights, *, combination: Combination, loss: LossName = "cross_entropy") -> GradientAt:
    """The gradient of J = loss - lambda_T L_T - lambda_M L_M (arXiv:2502.11858, Eq. 4).

    `weighted` differentiates that sum. `normalised` takes each term's gradient at the features, scales it to length 1
    per clip, adds them with the weights and sends the result through the encoders in one backward pass: on confident
    clips the loss has a vanishing gradient that the plain sum would lose beside L_T.

    Terms with weight 0 are left out, so that both weights 0 is the plain attack bit for bit; so is L_T of one segment.
    """

    def gradient(model: nn.Module, batch: Batch, modalities: Sequence[Modality]) -> Gradient:
        weighted = {
            temporal_variation: weights.temporal if batch.num_segments > 1 else 0.0,
            modality_agreement: weights.modality,
        }
        terms = [(term, weight) for term, weight in weighted.items() if weight]
        if not terms:
            return classification_gradient(loss)(model, batch, modalities)
        clips, streams = leaves(batch, modalities)
        outputs = model(clips.video, clips.audio)
        features = features_of(outputs, model)
        penalties = [(term(*features), -weight) for term, weight in terms]
        if combination == "weighted":
            total = attack_loss(outputs.logits, batch, loss).sum()
            total = total + torch.stack([weight * values.sum() for values, weight in penalties]).sum()
            found = back(total, streams, torch.ones_like(total))
        else:
            moving = [each for each in features if each.requires_grad]  # a modality without budget stands still
            slope, _ = slope_at_logits(outputs.logits, batch, loss)
            wanted = [(outputs.logits, slope, 1.0)]
            wanted += [(values, torch.ones_like(values), weight) for values, weight in penalties]
            found = back(moving, streams, _unit_gradients(moving, wanted))
        return Gradient(dict(zip(modalities, found, strict=True)), torch.zeros_like(outputs.logits[:, 0]))

    return gradient


def features_of(outputs: Outputs, model: nn.Module) -> tuple[Tensor, Tensor]:
    """The features of both modalities.

    Raises:
        ValueError: if the model does not tell them.
    """
    if outputs.video_features is None or outputs.audio_features is None:
        raise ValueError(
            f"{type(model).__name__} tells no features: TIA, MMA and TMA need `video_features` and "
            "`audio_features`, [batch, segments, features], in its Outputs"
        )
    return outputs.video_features, outputs.audio_features


def _unit_gradients(features: list[Tensor], wanted: Sequence[tuple[Tensor, Tensor, float]]) -> list[Tensor]:
    """Sum over (values, their slopes, weight) of weight x the gradient at the features, each of length 1 per clip."""
    combined = [torch.zeros_like(stream) for stream in features]
    if not features:
        return combined
    for values, slopes, weight in wanted:
        found = torch.autograd.grad(values, features, grad_outputs=slopes, retain_graph=True, materialize_grads=True)
        length = torch.cat([gradient.flatten(1) for gradient in found], dim=1).norm(dim=1)
        scale = weight / length.clamp_min(torch.finfo(length.dtype).tiny)
        combined = [total + per_clip(scale, part) * part for total, part in zip(combined, found, strict=True)]
    return combined
