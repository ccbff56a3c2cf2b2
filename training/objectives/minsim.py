"""MinSim: picture and sound are kept apart, so that an attack on one says nothing to the other."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import nn
from torch.nn import functional

from preprocessing.errors import SettingsError
from training.batch import Batch
from training.objectives.base import Classifying, Forward, Loss, LossOf, SingleUpdate, accuracy


class MinSim(Classifying, SingleUpdate):
    """CE(x, y) + w cos(z_v, z_a): a penalty on how alike the modalities' features are (Tian & Xu 2021).

    z_m is the mean of a clip's segment features (arXiv:2104.02000, the audio-visual dissimilarity constraint). Clips
    are clean: nothing is attacked. Costs 1 forward and 1 backward pass per batch.

    What is left out of their defence: the external feature memory banks, in which features are replaced by sparse
    combinations of stored ones before they are fused, at training and at test time. They belong to the model and not to
    the loss, so this is their constraint alone and not the method of their tables. The features are the encoders'
    outputs, of one frame per segment where theirs see one frame per clip.

    Raises:
        ValueError: if the classifier gives no features.
    """

    name: Literal["minsim"] = "minsim"
    similarity_weight: NonNegativeFloat = 0.8
    """w, what the similarity counts: 0.8 is the authors' choice for Kinetics-Sounds."""

    def prepare(self, model: nn.Module, batch: Batch, *, progress: float, generator: torch.Generator) -> LossOf:
        """Cross-entropy and similarity."""
        return partial(self._loss, batch=batch)

    def _loss(self, forward: Forward, batch: Batch) -> Loss:
        outputs = forward(batch.video, batch.audio)
        if outputs.video_features is None or outputs.audio_features is None:
            raise SettingsError("minsim compares the features of both modalities, but the classifier gives none")
        cross_entropy = self.cross_entropies(outputs.logits, batch.labels).mean()
        similarity = functional.cosine_similarity(outputs.video_features.mean(1), outputs.audio_features.mean(1)).mean()
        parts = {
            "cross_entropy": cross_entropy.detach(),
            "similarity": similarity.detach(),
            "accuracy": accuracy(outputs.logits, batch.labels),
        }
        return Loss(cross_entropy + self.similarity_weight * similarity, parts)
