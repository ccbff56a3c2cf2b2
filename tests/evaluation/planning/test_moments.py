"""Two data sets of the same clips: paired by key, refused where they do not go together, and placed in time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.planning.moments import PairedClips, open_pairs, suits
from preprocessing.errors import DataError
from preprocessing.schema import ClipFormat
from tests.evaluation.conftest import store_again
from training.data import open_split
from training.threat import ThreatModel

OTHER = ThreatModel(moments="other")


def pairs(data: Path, moments: Path, threat: ThreatModel = OTHER) -> PairedClips:
    found = open_pairs(str(data), str(moments), "train", threat)
    assert found is not None
    return found


def test_without_other_moments_nothing_is_paired(tiny_dataset: Path) -> None:
    assert open_pairs(str(tiny_dataset), None, "train", ThreatModel()) is None


def test_the_same_clips_half_a_segment_later(tiny_dataset: Path, stored_later: Path) -> None:
    """In whatever order they are asked for."""
    found = pairs(tiny_dataset, stored_later)
    found.require_same_clips(None)
    attacked = open_split(str(tiny_dataset), "train").read([5, 2]).to("cpu")
    moments = found.sampled_clips(attacked.keys)
    assert moments.delay.tolist() == [0.5, 0.5]
    assert moments.segment_length == 1.0
    assert moments.audio.shape == attacked.audio.shape
    whole, later = attacked.audio[:, :, :, 25:], moments.audio[:, :, :, :25]
    assert float((whole - later).abs().mean()) < 0.05  # the same sound; at its start the window looks elsewhere


def test_a_clip_with_fewer_segments_begins_where_it_says(tiny_dataset: Path, tiny_videos: Path, tmp_path: Path) -> None:
    """Three segments of 0.5 s in the middle of 2 s begin at 0.25 s, and with the offset 0.25 at 0.375 s: 3/4 later."""
    found = pairs(tiny_dataset, store_again(tiny_videos, tmp_path / "three", num_segments=3, offset=0.25))
    found.require_same_clips(None)
    keys = [clip.key for _, clip in found.attacked.clips[:2]]
    moments = found.sampled_clips(keys)
    assert moments.delay.tolist() == [0.75, 0.75]
    assert moments.video.shape[:2] == (2, 3)


def test_waveforms_are_paired_as_well(tiny_dataset: Path, stored_later: Path) -> None:
    """Half a segment is 4,000 samples: what the one has there, the other has at its start."""
    threat = ThreatModel(audio_domain="waveform", moments="other")
    found = pairs(tiny_dataset, stored_later, threat)
    attacked = found.attacked.read([0]).to("cpu")
    moments = found.sampled_clips(attacked.keys)
    here, there = attacked.audio.flatten(1)[:, 4000:], moments.audio.flatten(1)[:, :-4000]
    assert torch.equal(here, there)


def test_whole_segments_later_are_no_other_moments(
    tiny_dataset: Path, stored_later: Path, tiny_videos: Path, tmp_path: Path
) -> None:
    """Two segments in the middle of four begin one later."""
    assert pairs(tiny_dataset, tiny_dataset).are_at_the_same_moments(4)
    assert pairs(tiny_dataset, store_again(tiny_videos, tmp_path / "two", num_segments=2)).are_at_the_same_moments(None)
    assert not pairs(tiny_dataset, stored_later).are_at_the_same_moments(None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_size": 16}, r"stores clips as .*frame_size=16.*allowed to differ: offset, num_segments, segment_sec"),
        ({"num_mels": 16}, r"stores clips as .*num_mels=16"),
    ],
)
def test_clips_of_another_form_are_refused(
    changes: dict[str, object], message: str, tiny_dataset: Path, tiny_videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        pairs(tiny_dataset, store_again(tiny_videos, tmp_path / "other", **changes)).require_same_clips(None)


def test_clips_that_are_not_there_are_refused_with_the_remedy(
    tiny_dataset: Path, stored_later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those that are measured need be there."""
    found = pairs(tiny_dataset, stored_later)
    last = found.attacked.clips[-1][1].key
    del found._sampled_at[last]
    with pytest.raises(DataError, match=rf"lacks 1 of the 24 clips of split 'train' .*such as '{last}': .*=pad"):
        found.require_same_clips(None)
    found.require_same_clips(23)


def test_keys_of_other_videos_are_refused(tiny_dataset: Path, stored_later: Path) -> None:
    found = pairs(tiny_dataset, stored_later)
    shard, clip = found.sampled.clips[0]
    changed = ((shard, clip.model_copy(update={"source_sha256": "0" * 64})), *found.sampled.clips[1:])
    found.sampled.__dict__["clips"] = changed
    with pytest.raises(DataError, match=rf"give 1 keys to other videos or classes, such as '{clip.key}'"):
        found.require_same_clips(None)


def test_other_classes_are_refused(tiny_dataset: Path, stored_later: Path) -> None:
    found = pairs(tiny_dataset, stored_later)
    index = found.sampled.index.model_copy(update={"classes": ("one", "two", "three", "four")})
    object.__setattr__(found.sampled, "index", index)
    with pytest.raises(DataError, match="has the classes one, two, three, four, data="):
        found.require_same_clips(None)


def test_a_model_takes_clips_of_any_offset_and_if_asked_of_any_segments() -> None:
    known = ClipFormat()
    assert suits(known, ClipFormat(offset=0.5), at_any_moments=False)
    for other in (ClipFormat(num_segments=8), ClipFormat(segment_seconds=0.5)):
        assert not suits(known, other, at_any_moments=False)
        assert suits(known, other, at_any_moments=True)
    assert not suits(known, ClipFormat(frame_size=112), at_any_moments=True)
