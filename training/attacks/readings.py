"""How the two terms of TIA, MMA and TMA are read: the paper leaves it open, so it is a setting."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from preprocessing.settings import Settings
from training.attacks.transforms import TransformName

TemporalName = Literal["consecutive", "copies"]
AgreementName = Literal["means", "segments", "predictions", "literal"]
FeatureScale = Literal["normalised", "raw"]


class TemporalReading(Settings):
    """L_T, what an attack wants to stay the same while the loss rises (arXiv:2502.11858, Eq. 2)."""

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
        """How many passes beside the clip's own each step needs."""
        return self.num_copies if self.temporal == "copies" and self.temporal_weight else 0


class AgreementReading(Settings):
    """L_M, what the modalities agree on and an attack wants to break (arXiv:2502.11858, Eq. 3)."""

    modality_weight: float = 0.3
    """lambda_M; negative wants more agreement."""
    agreement: AgreementName = "means"
    """`means`: cosine between the modalities' features averaged over time. `segments`: mean over segments of their
    cosine. `predictions`: inner product of the class shares that each modality predicts alone (p_a p_v of the paper's
    Fig. 3). `literal`: Eq. 3 as it is printed, f_a f_v / ||f_a f_v||^2, which is 1 / (f_a f_v): making it small makes
    the modalities agree more where they agree, against what the text wants; it is here to be compared with."""
