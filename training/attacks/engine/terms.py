"""The two terms of TIA, MMA and TMA per clip: variation over time (L_T) and agreement of the modalities (L_M).

The paper gives neither in full: each has settings for the formulas that its text allows (`tma.py` lists them).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional

from preprocessing.settings import Settings
from training.attacks.engine.transforms import TransformName

Features = Float[Tensor, "batch segments features"]
Logits = Float[Tensor, "batch classes"]
PerClip = Float[Tensor, " batch"]
TemporalName = Literal["consecutive", "copies"]
AgreementName = Literal["means", "segments", "predictions", "literal"]
FeatureScale = Literal["normalised", "raw"]


class TemporalTerm(Settings):
    """L_T, the variation over time that an attack keeps small while the loss rises (arXiv:2502.11858, Eq. 2)."""

    temporal_weight: float = 0.1
    """lambda_T; negative wants features to vary more, as in the sign experiment of the paper's discussion."""
    temporal: TemporalName = "consecutive"
    """`consecutive`: how much features change from segment to segment. `copies`: how much each segment's features
    change when the clip is transformed; each copy costs one more forward and backward pass a step."""
    features: FeatureScale = "normalised"
    """L_T is taken of each segment's features at length 1, or as they come out of the encoders."""
    transforms: Annotated[tuple[TransformName, ...], Field(min_length=1)] = ("scale", "mask", "blur", "mixup")
    """Of `copies`: the kinds of copies, taken in turn, over the steps too."""
    num_copies: PositiveInt = 1
    """Of `copies`: how many transformed copies the clip itself is compared with in each step."""

    @property
    def copies_per_step(self) -> int:
        """Passes beside the clip's own that each step needs."""
        return self.num_copies if self.temporal == "copies" and self.temporal_weight else 0


class AgreementTerm(Settings):
    """L_M, the agreement of the modalities that an attack breaks (arXiv:2502.11858, Eq. 3)."""

    modality_weight: float = 0.3
    """lambda_M; negative wants more agreement."""
    agreement: AgreementName = "means"
    """`means`: cosine between the modalities' features averaged over time. `segments`: mean over segments of their
    cosine. `predictions`: inner product of the class shares that each modality predicts alone (p_a p_v of the paper's
    Fig. 3). `literal`: Eq. 3 as it is printed, f_a f_v / ||f_a f_v||^2, which is 1 / (f_a f_v): making it small makes
    the modalities agree more where they agree, against what the text wants; it is here to be compared with."""


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
    """Mean over t of the cosine between the features of video and audio at the same moment, in [-1, 1]."""
    return functional.cosine_similarity(video_features, audio_features, dim=2).mean(1)


def agreement_of_predictions(video_logits: Logits, audio_logits: Logits) -> PerClip:
    """Inner product of the class shares that each modality predicts alone, in [0, 1]."""
    return (video_logits.softmax(1) * audio_logits.softmax(1)).sum(1)


def agreement_as_printed(video_features: Features, audio_features: Features) -> PerClip:
    """f_a . f_v / ||f_a . f_v||^2 of the features averaged over time, which is 1 / (f_a . f_v); 0 where that is 0/0."""
    product = (video_features.mean(1) * audio_features.mean(1)).sum(1)
    return product / product.square().clamp_min(torch.finfo(product.dtype).tiny)
