from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.training.conftest import random_batch
from training.attacks.engine.starts import start_at_radius
from training.threat import ThreatModel


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_start_is_as_far_as_its_clips_radius_says_in_every_modality(norm: str, generator: torch.Generator) -> None:
    """Half a budget for the first clip, a whole one for the second; the box is out of the way."""
    noise = random_batch(2)
    clips = replace(noise, video=noise.video / 2 + 0.25, audio=noise.audio / 2 + 0.25)
    threat = ThreatModel.model_validate({"norm": norm, "video": 0.2, "audio": 0.1})
    start = start_at_radius(clips, threat, generator, "start", torch.tensor([0.5, 1.0]))
    distances = threat.distances(start, clips)
    assert torch.allclose(distances["video"], torch.tensor([0.1, 0.2]), atol=1e-6)
    assert torch.allclose(distances["audio"], torch.tensor([0.05, 0.1]), atol=1e-6)


def test_segments_without_support_stay_as_they_are(generator: torch.Generator) -> None:
    clips = random_batch(2)
    start = start_at_radius(clips, ThreatModel(segments=(1,)), generator, "start")
    assert torch.equal(start.video[:, [0, 2, 3]], clips.video[:, [0, 2, 3]])
    assert not torch.equal(start.video[:, 1], clips.video[:, 1])
