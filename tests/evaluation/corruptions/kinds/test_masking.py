from __future__ import annotations

import numpy as np
import pytest

from evaluation.corruptions.kinds.base import SEVERITIES, Clip, Severity
from evaluation.corruptions.kinds.listing import CORRUPTIONS
from evaluation.corruptions.kinds.masking import AsynchronousMasking, SynchronousMasking
from tests.evaluation.corruptions.conftest import made_clip


def lost(clip: Clip) -> tuple[set[int], set[int]]:
    """Segments without a picture, and without a sound."""
    pieces = np.array_split(clip.waveform, len(clip.video))
    dark = {number for number, frame in enumerate(clip.video) if not frame.any()}
    return dark, {number for number, piece in enumerate(pieces) if not piece.any()}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["synchronous_masking", "asynchronous_masking"])
def test_the_share_named_is_blanked_in_both_modalities(name: str, severity: Severity) -> None:
    """1, 3, 5, 7 and 9 of ten segments."""
    clip = made_clip(16, 16, num_segments=10)
    dark, mute = lost(CORRUPTIONS[name](clip, severity, seed=0))  # type: ignore[index]
    assert len(dark) == len(mute) == 2 * severity - 1


def test_synchronous_masking_blanks_the_same_segments_and_asynchronous_masking_its_own() -> None:
    clips = [made_clip(16, 16, num_segments=10, key=f"clip {number}") for number in range(8)]
    pairs = [lost(SynchronousMasking()(clip, 3, seed=0)) for clip in clips]
    assert all(dark == mute for dark, mute in pairs)
    assert len({tuple(sorted(dark)) for dark, _ in pairs}) > 1
    assert any(dark != mute for dark, mute in (lost(AsynchronousMasking()(clip, 3, seed=0)) for clip in clips))


def test_one_segment_stays_and_other_samples_are_as_they_were() -> None:
    clip = made_clip(16, 16, num_segments=3, num_samples=16_001)
    found = AsynchronousMasking(share=(1.0, 1.0, 1.0, 1.0, 1.0))(clip, 1, seed=0)
    dark, mute = lost(found)
    assert (len(dark), len(mute)) == (2, 2)
    is_kept = found.waveform != 0.0
    assert np.array_equal(found.waveform[is_kept], clip.waveform[is_kept])
    assert is_kept.sum() in (5_333, 5_334)
