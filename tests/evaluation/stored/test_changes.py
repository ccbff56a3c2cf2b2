from __future__ import annotations

import pytest
import torch

from evaluation.stored.changes import (
    allowed_distance,
    change_outside,
    peak_signal_to_noise_db,
    signal_to_noise_db,
    sizes,
)
from training.batch import Batch
from training.threat import ThreatModel


def test_signal_to_noise_ratios_are_in_decibels_per_clip() -> None:
    """A change of 0.1 everywhere: PSNR 20 dB; at signal 0.5 the ratio is 0.25 / 0.01 = 25, or 13.98 dB."""
    clean = torch.full((3, 2, 2), 0.5, dtype=torch.float64)
    clean[2] = 0.0
    changed = clean + torch.tensor([0.0, 0.1, 0.1], dtype=torch.float64)[:, None, None]
    assert peak_signal_to_noise_db(changed, clean) == [None, pytest.approx(20.0), pytest.approx(20.0)]
    assert signal_to_noise_db(changed, clean) == [None, pytest.approx(13.979, abs=1e-3), None]


def test_a_change_in_a_spared_segment_is_found(few_clips: Batch) -> None:
    """0.25 in one pixel of the first clip's first segment, under a threat to the second."""
    threat = ThreatModel.model_validate("linf(video=1, segments=1)")
    video = few_clips.video.clone()
    video[0, 0, 0, 0, 0] += 0.25
    changed = few_clips.with_streams(video, few_clips.audio)
    found = change_outside(threat, changed, few_clips)
    assert found.tolist() == pytest.approx([0.25] + [0.0] * 14)
    assert sizes(threat, changed, few_clips)["linf_outside"] == found.tolist()
    assert (change_outside(ThreatModel(), changed, few_clips) == 0).all()


def test_no_budget_allows_no_distance() -> None:
    """Otherwise a hundred-thousandth of the budget, and the rounding of one value."""
    assert allowed_distance(0.0) == 0.0
    assert allowed_distance(1.0) == pytest.approx(1.0000101)
