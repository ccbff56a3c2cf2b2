"""Several models as one, so that an attack on it transfers to models that are none of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.models.classifier import Outputs


class Ensemble(nn.Module):
    """Averages its members' logits: a model for every attack (Liu et al. 2017, arXiv:1611.02770, Section 5).

    Of the ways to fuse models this is the one that Dong et al. 2018 (arXiv:1710.06081, Section 3.3) measured as the
    best against models outside the ensemble: fusion in logits, all weights equal. (Liu et al. average the
    probabilities, where a member's confidence silences the others.)

    Features are the members' side by side, unimodal logits their mean; both are None where a member has none. The
    logits do not come from what stands side by side but from what each member has, its `feature_parts`. The members
    are the very modules that were given, so they share their weights and flags with whoever else holds them. One
    forward or backward pass costs as much as one of every member.

    Raises:
        ValueError: if there is no member; at a call, if the members' classes or segments differ in number.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        if not models:
            raise ValueError("an ensemble has at least one model, got none")
        self.members = nn.ModuleList(models)

    def forward(
        self,
        video: Float[Tensor, "batch segments 3 height width"],
        audio: Float[Tensor, "batch segments *patch"],
    ) -> Outputs:
        """Classify clips with every member."""
        found: list[Outputs] = [member(video, audio) for member in self.members]
        return Outputs(
            logits=_mean("logits", [each.logits for each in found]),
            video_features=_side_by_side("video_features", [each.video_features for each in found]),
            audio_features=_side_by_side("audio_features", [each.audio_features for each in found]),
            video_logits=_mean_if_all("video_logits", [each.video_logits for each in found]),
            audio_logits=_mean_if_all("audio_logits", [each.audio_logits for each in found]),
            feature_parts=tuple(part for each in found for part in _parts(each)),
        )


def _parts(outputs: Outputs) -> tuple[Tensor, ...]:
    features = (outputs.video_features, outputs.audio_features)
    return outputs.feature_parts or tuple(each for each in features if each is not None)


def _mean(name: str, tensors: Sequence[Tensor]) -> Tensor:
    _check_alike(name, "classes", [tensor.shape[1] for tensor in tensors])
    return torch.stack(list(tensors)).mean(0)


def _mean_if_all(name: str, tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return _mean(name, present) if len(present) == len(tensors) else None


def _side_by_side(name: str, tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    if len(present) < len(tensors):
        return None
    _check_alike(name, "segments", [tensor.shape[1] for tensor in present])
    return torch.cat(present, dim=2)


def _check_alike(name: str, what: str, counts: list[int]) -> None:
    if len(set(counts)) > 1:
        raise ValueError(f"the ensemble's members have {name} of {counts} {what}; they must have equally many")
