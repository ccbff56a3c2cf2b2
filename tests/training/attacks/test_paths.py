from __future__ import annotations

import torch

from training.attacks.gradients import Streams
from training.attacks.paths import between, replaced_where_allowed
from training.batch import Batch
from training.threat import ThreatModel


def test_a_path_starts_at_the_baseline_and_ends_at_the_clip_bit_for_bit(batch: Batch) -> None:
    baseline = batch.with_streams(1.0 - batch.video, batch.audio / 3.0)
    for share, end in ((0.0, baseline), (1.0, batch)):
        point = between(baseline, batch, share)
        assert torch.equal(point.video, end.video)
        assert torch.equal(point.audio, end.audio)


def test_a_quarter_of_the_path_is_a_quarter_of_the_clip(batch: Batch) -> None:
    baseline = batch.with_streams(torch.full_like(batch.video, 0.8), torch.zeros_like(batch.audio))
    point = between(baseline, batch, 0.25)
    assert torch.allclose(point.video, 0.6 + 0.25 * batch.video)
    assert torch.allclose(point.audio, 0.25 * batch.audio)


def test_what_the_threat_spares_lies_on_no_path(batch: Batch) -> None:
    threat = ThreatModel.model_validate("linf(video=4/255, segments=0+2)")
    values: Streams = {"video": torch.tensor([0.1, 0.2, 0.3]).view(1, 1, 3, 1, 1), "audio": torch.tensor(0.9)}
    replaced = replaced_where_allowed(batch, values, threat)
    assert torch.equal(replaced.audio, batch.audio)
    assert torch.equal(replaced.video[:, [1, 3]], batch.video[:, [1, 3]])
    assert (replaced.video[:, [0, 2], 1] == torch.tensor(0.2)).all()
