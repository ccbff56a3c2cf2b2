from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from training.batch import MODALITIES, Batch
from training.threat import ThreatModel


@pytest.mark.parametrize(
    "text",
    [
        "linf(video=4/255, audio=4/255)",
        "linf(video=0, audio=8/255)",
        "l2(video=0.5, audio=2)",
        "linf(video=0.003, audio=0)",
        "linf(video=4/255, waveform=0.002)",
        "l2(video=0.5, waveform=0.1, segments=0-3+7)",
        "linf(video=4/255, audio=4/255, segments=2)",
        "linf(video=4/255, audio=4/255, moments=other)",
        "l2(video=0.5, waveform=0.1, segments=0-3+7, moments=other)",
    ],
)
def test_text_and_model_are_two_forms_of_one_threat(text: str) -> None:
    assert str(ThreatModel.model_validate(text)) == text


def test_a_modality_that_is_not_named_is_untouched() -> None:
    threat = ThreatModel.model_validate("linf(audio=8/255)")
    assert (threat.video, threat.audio) == (0.0, 8 / 255)


@pytest.mark.parametrize(
    "text",
    [
        "linf",
        "l1(video=1)",
        "linf(video=1, video=2)",
        "linf(depth=1)",
        "linf(video=1/0)",
        "linf(video=-1)",
        "linf(audio=1, waveform=1)",
        "linf(video=1, segments=3-)",
        "linf(video=1, segments=2+1)",
        "linf(segments=1,1)",
    ],
)
def test_unreadable_threats_are_refused_with_the_text(text: str) -> None:
    with pytest.raises(
        ValidationError,
        match=r"not a threat model|not a number or|greater than or equal to 0|does not name segments|must rise",
    ):
        ThreatModel.model_validate(text)


def test_segments_outside_the_support_and_the_box_of_a_waveform_are_kept(batch: Batch) -> None:
    """Only segments 1 and 3 may move; samples end at -1 and 1."""
    threat = ThreatModel.model_validate("linf(video=0.1, waveform=0.5, segments=1+3)")
    clips = batch.with_streams(batch.video, torch.linspace(-1, 1, 7 * 4 * 10).reshape(7, 4, 10))
    moved = threat.project(clips.with_streams(clips.video + 0.3, clips.audio - 0.7), around=clips)
    for name in MODALITIES:
        assert torch.equal(moved.stream(name)[:, 0::2], clips.stream(name)[:, 0::2])
    assert torch.equal(moved.video[:, 1::2], (clips.video[:, 1::2] + 0.1).clamp(max=1.0))
    assert torch.equal(moved.audio[:, 1::2], (clips.audio[:, 1::2] - 0.5).clamp(min=-1.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "linf(waveform=0.1)",
            r"audio has shape \[7, 4, 16, 16\]; .* is about the waveform, shape \[batch, segments, samples",
        ),
        ("linf(video=0.1, segments=0+4)", r"names segment 4, but clips have 4 segments \(from 0\)"),
    ],
)
def test_clips_to_which_the_rules_cannot_apply_are_refused(text: str, message: str, batch: Batch) -> None:
    with pytest.raises(ValueError, match=message):
        ThreatModel.model_validate(text).check(batch)


def test_clips_outside_their_box_are_refused_with_what_to_do(batch: Batch) -> None:
    normalised = batch.with_streams((batch.video - 0.5) / 0.25, batch.audio)
    with pytest.raises(ValueError, match=r"video lies in \[-2, 2\]; allowed: \[0, 1\]. Normalise inside the model"):
        ThreatModel().check(normalised)
    ThreatModel(video=0.0).check(normalised)  # nothing of it is attacked


def test_projection_onto_the_linf_ball_clips_each_value(batch: Batch) -> None:
    threat = ThreatModel(video=0.1, audio=0.0)
    moved = threat.project(batch.with_streams(batch.video + 0.5, batch.audio + 0.5), around=batch)
    assert torch.equal(moved.video, (batch.video + 0.1).clamp(max=1.0))
    assert moved.audio is batch.audio


def test_projection_onto_the_l2_ball_keeps_the_direction() -> None:
    """A change of (3, 4) with budget 1 becomes (0.6, 0.8)."""
    clean = Batch(torch.zeros(1, 1, 3, 1, 1), torch.zeros(1, 1, 1, 1), torch.zeros(1, dtype=torch.int64), ("clip",))
    far = clean.with_streams(torch.tensor([3.0, 4.0, 0.0]).reshape(1, 1, 3, 1, 1), clean.audio)
    moved = ThreatModel(norm="l2", video=1.0, audio=1.0).project(far, around=clean)
    assert torch.allclose(moved.video.flatten(), torch.tensor([0.6, 0.8, 0.0]))
    assert torch.equal(moved.audio, clean.audio)


def test_distances_are_measured_per_clip_and_modality(batch: Batch) -> None:
    moved = batch.with_streams(batch.video, batch.audio.clone())
    moved.audio[2, 0, 0, 0] += 0.25
    distances = ThreatModel(norm="l2").distances(moved, batch)
    assert distances["video"].count_nonzero() == 0
    assert distances["audio"].tolist() == pytest.approx([0, 0, 0.25, 0, 0, 0, 0])


def test_scaling_and_restricting_change_the_budgets_only() -> None:
    threat = ThreatModel(norm="l2", video=1.0, audio=2.0)
    assert threat.scaled(0.5) == ThreatModel(norm="l2", video=0.5, audio=1.0)
    assert threat.only("audio") == ThreatModel(norm="l2", video=0.0, audio=2.0)


@pytest.mark.parametrize(
    ("larger", "smaller", "contains"),
    [
        ("linf(video=4/255, audio=4/255)", "linf(video=4/255, audio=4/255)", True),
        ("linf(video=4/255, audio=4/255)", "linf(video=2/255)", True),
        ("linf(video=4/255, audio=4/255)", "linf(video=5/255)", False),
        ("linf(video=4/255)", "linf(video=4/255, audio=1/255)", False),
        ("linf(video=1, audio=1)", "l2(video=0.1, audio=0.1)", False),
        ("linf(video=1, waveform=1)", "linf(video=1, audio=1)", False),
        ("linf(video=1, waveform=1)", "linf(video=1)", True),
        ("l2(video=1, segments=0-3)", "l2(video=1, segments=1+3)", True),
        ("l2(video=1, segments=0-3)", "l2(video=1, segments=3-4)", False),
        ("l2(video=1, segments=0-3)", "l2(video=1)", False),
        ("l2(video=1)", "l2(video=1, segments=2)", True),
        ("l2(video=1, segments=2)", "l2(video=0, audio=0)", True),
    ],
)
def test_a_threat_contains_those_whose_clips_it_all_allows(larger: str, smaller: str, contains: bool) -> None:
    assert ThreatModel.model_validate(larger).contains(ThreatModel.model_validate(smaller)) == contains


def test_a_clip_inside_a_contained_threat_is_left_as_it_is_by_the_larger_one(batch: Batch) -> None:
    """Projecting onto the larger ball moves nothing that lies in the smaller one."""
    larger = ThreatModel.model_validate("l2(video=2, audio=1, segments=0-1)")
    smaller = larger.scaled(0.5).only("video")
    moved = smaller.project(batch.with_streams(batch.video + 0.3, batch.audio), around=batch)
    assert larger.contains(smaller)
    assert not torch.equal(moved.video, batch.video)
    assert torch.allclose(larger.project(moved, around=batch).video, moved.video, atol=1e-6)


def test_known_moments_are_written_nowhere_so_that_all_hashes_stay() -> None:
    threat = ThreatModel.model_validate("linf(video=4/255, audio=4/255, moments=known)")
    assert threat == ThreatModel()
    assert str(threat) == "linf(video=4/255, audio=4/255)"
    assert threat.model_dump_json() == (
        '{"norm":"linf","video":0.01568627450980392,"audio":0.01568627450980392,"audio_domain":"logmel","segments":null}'
    )


def test_other_moments_last_through_all_changes_and_back() -> None:
    threat = ThreatModel.model_validate("linf(video=4/255, audio=4/255, segments=0, moments=other)")
    for changed in (threat.scaled(2.0), threat.only("video"), threat.anywhere()):
        assert changed.moments == "other"
    assert ThreatModel.model_validate(threat.model_dump()) == threat
    assert ThreatModel.model_validate_json(threat.model_dump_json()) == threat


@pytest.mark.parametrize("budget", ["video=4/255, audio=4/255", "video=0, audio=0"])
def test_no_threat_contains_one_of_other_moments(budget: str) -> None:
    """Not even without a budget: the untouched clips are others."""
    known, other = (ThreatModel.model_validate(f"linf({budget}{more})") for more in ("", ", moments=other"))
    assert not known.scaled(2.0).contains(other)
    assert not other.scaled(2.0).contains(known)
    assert other.scaled(2.0).contains(other)


def test_where_only_one_set_of_moments_is_read_others_are_refused() -> None:
    ThreatModel().require_known_moments("threat")
    with pytest.raises(ValueError, match=r"objective\.threat=linf\(.*moments=other\) hides the moments"):
        ThreatModel(moments="other").require_known_moments("objective.threat")


def test_clips_that_are_judged_at_other_moments_have_other_segments() -> None:
    known, other = ThreatModel(segments=(1,)), ThreatModel(segments=(1,), moments="other")
    assert known.where_judged() is known
    assert other.where_judged() == ThreatModel(moments="other")
