"""A classifier that encodes some of a clip's segments: what an attack on a sample of them looks at."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from training.attacks.base import frozen
from training.batch import Batch, gather_segments
from training.models.classifier import Classifier, Outputs

Index = Int[Tensor, "batch chosen"]
Features = Float[Tensor, "batch segments features"]


class SampleSharingGradients(nn.Module):
    """Is given whole clips and encodes the sampled segments; each one's gradient goes to all that are nearest to it."""

    def __init__(self, model: nn.Module, index: Index, nearest: Int[Tensor, "batch segments"]) -> None:
        super().__init__()
        self.model = model
        self.index = index
        self.nearest = nearest

    def forward(
        self, video: Float[Tensor, "batch segments 3 height width"], audio: Float[Tensor, "batch segments *patch"]
    ) -> Outputs:
        """What `model` says of the sample."""
        sampled = (_Sample.apply(stream, self.index, self.nearest) for stream in (video, audio))
        outputs: Outputs = self.model(*sampled)
        return outputs


class SampleAmongClean(nn.Module):
    """Is given the sampled segments and classifies whole clips: the features of all others are known already.

    In evaluation mode it says of a sample what the classifier says of the whole clip with its other segments clean, and
    has the same gradients, since segments meet only when their features are averaged.
    """

    def __init__(self, model: Classifier, index: Index, video_features: Features, audio_features: Features) -> None:
        super().__init__()
        self.model = model
        self.video_features = video_features
        self.audio_features = audio_features
        self.order = torch.cat([index, others(index, video_features.shape[1] + index.shape[1])], dim=1).argsort(1)
        """Where each of the clip's segments stands when the sampled ones come first."""

    @classmethod
    def of(cls, model: nn.Module, batch: Batch, index: Index) -> SampleAmongClean:
        """Encode the segments that `index` leaves out, in evaluation mode: one forward pass over them.

        Raises:
            ValueError: if the model does not say how it makes scores of features.
        """
        if not isinstance(model, Classifier):
            raise ValueError(f"clean features come from a Classifier, got {type(model).__name__}; set context=none")
        rest = batch.select_segments(others(index, batch.num_segments))
        with frozen(model), torch.no_grad():
            return cls(model, index, *model.encode(rest.video, rest.audio))

    def forward(
        self, video: Float[Tensor, "batch chosen 3 height width"], audio: Float[Tensor, "batch chosen *patch"]
    ) -> Outputs:
        """Classify the whole clips."""
        sampled = self.model.encode(video, audio)
        known = (self.video_features, self.audio_features)
        whole = (torch.cat([mine, clean], dim=1) for mine, clean in zip(sampled, known, strict=True))
        return self.model.classify(*(gather_segments(features, self.order) for features in whole))


def others(index: Index, num_segments: int) -> Int[Tensor, "batch rest"]:
    """The segments that are not in `index`, in order of time."""
    is_other = torch.ones(len(index), num_segments, dtype=torch.bool, device=index.device).scatter(1, index, False)
    return is_other.nonzero()[:, 1].reshape(len(index), -1)


class _Sample(torch.autograd.Function):
    """Picks segments; backwards every segment gets the gradient of the picked one that is nearest to it."""

    @staticmethod
    def forward(ctx: Any, stream: Tensor, index: Tensor, nearest: Tensor) -> Tensor:
        ctx.save_for_backward(nearest)
        return gather_segments(stream, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (nearest,) = ctx.saved_tensors
        return gather_segments(gradient, nearest), None, None
