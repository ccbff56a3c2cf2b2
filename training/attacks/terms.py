"""The two weaknesses as numbers per clip: what stays the same over time, and what the modalities agree on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Features = Float[Tensor, "batch segments features"]
Logits = Float[Tensor, "batch classes"]
PerClip = Float[Tensor, " batch"]


def normalised(features: Features) -> Features:
    """Each segment's features at length 1; features that are all zero stay so."""
    return functional.normalize(features, dim=2)


def consecutive_variation(video_features: Features, audio_features: Features) -> PerClip:
    """Mean over modalities m and t < T of ||z_m[t+1] - z_m[t]||^2: how much changes from segment to segment."""
    return torch.stack(
        [features.diff(dim=1).square().sum(2).mean(1) for features in (video_features, audio_features)]
    ).mean(0)


def variation_over_copies(video_features: Sequence[Features], audio_features: Sequence[Features]) -> PerClip:
    """Mean over modalities m and t of the variance of z_m[t] over copies of a clip, each sequence holding one a copy.

    The variance of K vectors is their mean squared distance from their mean.
    """
    variances = [
        torch.stack(list(copies)).var(dim=0, correction=0).sum(2).mean(1) for copies in (video_features, audio_features)
    ]
    return torch.stack(variances).mean(0)


def agreement_of_means(video_features: Features, audio_features: Features) -> PerClip:
    """Cosine between the modalities' directions averaged over time, in [-1, 1]."""
    video_mean, audio_mean = (normalised(features).mean(1) for features in (video_features, audio_features))
    return functional.cosine_similarity(video_mean, audio_mean, dim=1)


def agreement_of_segments(video_features: Features, audio_features: Features) -> PerClip:
    """Mean over t of the cosine between what picture and sound are at the same moment, in [-1, 1]."""
    return functional.cosine_similarity(video_features, audio_features, dim=2).mean(1)


def agreement_of_predictions(video_logits: Logits, audio_logits: Logits) -> PerClip:
    """Inner product of the class shares that each modality predicts alone, in [0, 1]."""
    return (video_logits.softmax(1) * audio_logits.softmax(1)).sum(1)


def agreement_as_printed(video_features: Features, audio_features: Features) -> PerClip:
    """f_a . f_v / ||f_a . f_v||^2 of the features averaged over time, which is 1 / (f_a . f_v); 0 where that is 0/0."""
    product = (video_features.mean(1) * audio_features.mean(1)).sum(1)
    return product / product.square().clamp_min(torch.finfo(product.dtype).tiny)
