"""A model at several points of a clip, or several times at the same: the mean of its outputs, and of its gradients.

Expectation over transformation (Athalye et al. 2018, arXiv:1707.07397, Section 2.1, and arXiv:1802.00420, Section 4.2):
the gradient of E[f(t(x))] is E[grad f(t(x))]. With passes that differ because the model is stochastic it is the attack
on a randomised defence; with passes that differ by small noise at the input it is the smoothed gradient (Smilkov et al.
2017, arXiv:1706.03825).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.models.classifier import Outputs

Shift = tuple[Tensor, Tensor]
"""The change of frames and of sound before one pass."""


class Shifted(nn.Module):
    """A model whose inputs are moved by a constant."""

    def __init__(self, model: nn.Module, shift: Shift) -> None:
        super().__init__()
        self.model = model
        self.shift = shift

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        """The model's outputs at the moved clips."""
        video_shift, audio_shift = self.shift
        outputs: Outputs = self.model(video + video_shift, audio + audio_shift)
        return outputs


class Expectation(nn.Module):
    """The mean of a model's outputs over several passes.

    Losses of the logits and of the features are differentiated pass by pass, and their gradients averaged: one pass's
    graph is held at a time, and a loss of features sees the features that its logits came from.
    """

    def __init__(self, passes: Sequence[nn.Module]) -> None:
        super().__init__()
        self.passes = nn.ModuleList(passes)

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        """Every output averaged over the passes; what the model does not give stays out."""
        every: list[Outputs] = [each(video, audio) for each in self.passes]
        return Outputs(
            logits=torch.stack([outputs.logits for outputs in every]).mean(0),
            video_features=_mean([outputs.video_features for outputs in every]),
            audio_features=_mean([outputs.audio_features for outputs in every]),
            video_logits=_mean([outputs.video_logits for outputs in every]),
            audio_logits=_mean([outputs.audio_logits for outputs in every]),
        )


def _mean(values: Sequence[Tensor | None]) -> Tensor | None:
    given = [value for value in values if value is not None]
    return torch.stack(given).mean(0) if given else None


def repeated(model: nn.Module, samples: int) -> nn.Module:
    """The model's mean over `samples` passes of the same clip; the model itself for one."""
    return model if samples == 1 else Expectation([model] * samples)


def smoothed(model: nn.Module, shifts: Sequence[Shift]) -> nn.Module:
    """The model's mean over the clips moved by each of `shifts`."""
    return Expectation([Shifted(model, shift) for shift in shifts])
