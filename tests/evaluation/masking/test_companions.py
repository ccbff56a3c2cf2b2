from __future__ import annotations

import torch
from torch import Tensor, nn

from evaluation.masking.companions import companion_difference
from training.batch import Batch
from training.models import Classifier, Outputs


class Mixed(nn.Module):
    """Logits with a share of those of the clip before, the last one's for the first."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        logits = self.model(video, audio).logits
        return Outputs(logits + 0.1 * logits.roll(1, 0))


def difference(model: nn.Module, clips: Batch) -> Tensor:
    strangers = clips.with_streams(1 - clips.video, 1 - clips.audio)
    with torch.no_grad():
        return companion_difference(model, clips, strangers, model(clips.video, clips.audio).logits)


def test_a_model_of_one_clip_at_a_time_does_not_see_the_others(model: Classifier, few_clips: Batch) -> None:
    assert difference(model, few_clips).max() < 1e-4


def test_a_neighbours_share_is_seen_on_every_clip(model: Classifier, few_clips: Batch) -> None:
    assert (difference(Mixed(model), few_clips) > 1e-3).all()


def test_a_single_clip_has_no_companions_to_see(model: Classifier, few_clips: Batch) -> None:
    assert difference(Mixed(model), few_clips.select(torch.tensor([0]))).max() < 1e-4
