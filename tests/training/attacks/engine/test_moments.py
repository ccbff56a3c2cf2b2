"""What a model meets of a change that was made at other moments: worked out by hand, and properties in a table."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.attacks.engine.moments import OtherMoments, moments_in
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel

THREATS = {
    text: ThreatModel.model_validate(text)
    for text in (
        "linf(video=0.1, audio=0.05, moments=other)",
        "linf(video=0, audio=0.05, moments=other)",
        "linf(video=0.1, audio=0, segments=1+2, moments=other)",
        "l2(video=1.5, audio=0.5, moments=other)",
        "l2(video=1.5, audio=0.5, segments=0+3, moments=other)",
        "linf(video=0.1, waveform=0.05, moments=other)",
    )
}
DELAYS = (0.0, 0.25, 0.5, 1.0, 3.0, -0.5, -2.0, 7.0)
every_threat = pytest.mark.parametrize("threat", THREATS.values(), ids=str)


def clips(threat: ThreatModel, *, num_segments: int = 4, seed: int = 0, num_clips: int = 3) -> Batch:
    """Noise, some of it at the ends of its box: frames of 6 pixels, patches of 3 by 8 or 8 samples."""
    random = torch.Generator().manual_seed(seed)
    low, high = threat.box("audio")
    patch = (8,) if threat.audio_domain == "waveform" else (3, 8)
    video = torch.rand(num_clips, num_segments, 3, 6, 6, generator=random) * 1.2 - 0.1
    audio = low + (high - low) * (torch.rand(num_clips, num_segments, *patch, generator=random) * 1.2 - 0.1)
    keys = tuple(map(str, range(num_clips)))
    return Batch(video.clamp(0, 1), audio.clamp(low, high), torch.zeros(num_clips, dtype=torch.long), keys)


def perturbed(clean: Batch, threat: ThreatModel) -> Batch:
    """Clips at the border of the threat's ball."""
    random = torch.Generator().manual_seed(9)
    moved = {name: clean.stream(name) + torch.randn(clean.stream(name).shape, generator=random) for name in MODALITIES}
    return threat.project(clean.with_streams(**moved), around=clean)


def at(delay: float, there: Batch, *, segment_length: float = 1.0) -> OtherMoments:
    delays = torch.full((len(there),), delay, dtype=torch.float64)
    return OtherMoments(there.video, there.audio, delays, segment_length)


def placed(delay: float, **changes: int | float) -> list[int]:
    known: dict[str, int | float] = {"num_segments": 3, "values_per_segment": 1, "num_others": 3, "values_per_other": 1}
    return moments_in(torch.tensor([delay]), **(known | changes))[0].tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (0.0, [0, 1, 2]),
        (0.25, [0, 1, 2]),  # a model that looks at 0.75 of a segment still sees it
        (0.5, [1, 2, 2]),  # where one ends the next has begun; the last goes on
        (1.0, [1, 2, 2]),
        (-0.25, [0, 1, 2]),
        (-0.75, [0, 0, 1]),
        (-9.0, [0, 0, 0]),
    ],
)
def test_a_frame_stays_on_screen_through_its_segment(delay: float, expected: list[int]) -> None:
    assert placed(delay) == expected


def test_sound_is_met_where_it_is_in_time_and_goes_on_at_its_phase() -> None:
    """Segments of 4 values: half a segment later the model hears 2 to 11, and then the last segment again."""
    later = placed(0.5, values_per_segment=4, values_per_other=4)
    assert later == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 8, 9]
    earlier = placed(-0.5, values_per_segment=4, values_per_other=4)
    assert earlier == [2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_another_number_and_length_of_segments_cover_the_same_time() -> None:
    """Five segments of half the length begin half a segment in: their middles lie at 0.75, 1.25, 1.75, 2.25, 2.75."""
    assert placed(0.5, num_others=5, segment_length=0.5) == [0, 1, 1, 2, 2]
    halves = placed(0.5, num_others=5, segment_length=0.5, values_per_segment=4, values_per_other=2)
    assert halves == list(range(2, 12))


@every_threat
def test_at_the_same_moments_it_is_the_perturbed_clip_bit_for_bit(threat: ThreatModel) -> None:
    clean = clips(threat)
    attacked = perturbed(clean, threat)
    found = at(0.0, clean).carried(attacked, clean, threat)
    assert all(torch.equal(found.stream(name), attacked.stream(name)) for name in MODALITIES)


@every_threat
def test_a_whole_segment_later_everything_moves_up_by_one_without_wrapping(threat: ThreatModel) -> None:
    """The untouched clips move likewise, so no rounding is between; of l2 the last change is there twice."""

    def later(stream: Tensor) -> Tensor:
        return torch.cat([stream[:, 1:], stream[:, -1:]], dim=1)

    clean = clips(threat)
    attacked = perturbed(clean, threat)
    there = clean.with_streams(later(clean.video), later(clean.audio))
    found = at(1.0, there).carried(attacked, clean, threat)
    for name in MODALITIES:
        expected = later(attacked.stream(name))
        if not threat.geometry.is_per_value:
            change = threat.into_ball(name, expected - there.stream(name))
            assert torch.allclose(found.stream(name), (there.stream(name) + change).clamp(*threat.box(name)), atol=1e-6)
        else:
            assert torch.equal(found.stream(name), expected)


@every_threat
@settings(max_examples=20, deadline=None)
@given(
    delay=st.sampled_from(DELAYS) | st.floats(-6, 6, allow_nan=False),
    num_others=st.integers(1, 6),
    seed=st.integers(0, 9),
)
def test_it_lies_in_ball_and_box_around_what_the_model_meets_untouched(
    threat: ThreatModel, delay: float, num_others: int, seed: int
) -> None:
    clean, there = clips(threat), clips(threat, num_segments=num_others, seed=seed + 1)
    found = at(delay, there).carried(perturbed(clean, threat), clean, threat)
    for name in MODALITIES:
        low, high = threat.box(name)
        stream, epsilon = found.stream(name), threat.epsilon(name)
        assert stream.shape == there.stream(name).shape
        assert float(stream.min()) >= low
        assert float(stream.max()) <= high
        if epsilon == 0:
            assert torch.equal(stream, there.stream(name))
        elif threat.geometry.is_per_value:
            untouched = there.stream(name)
            assert torch.equal(stream, stream.clamp(untouched - epsilon, untouched + epsilon))
        else:
            assert bool((threat.length(stream - there.stream(name)) <= epsilon * (1 + 1e-5)).all())


@every_threat
def test_a_clip_alone_and_among_others_meet_the_same(threat: ThreatModel) -> None:
    """Each clip has a delay of its own."""
    clean, there = clips(threat), clips(threat, num_segments=5, seed=1)
    attacked = perturbed(clean, threat)
    moments = OtherMoments(there.video, there.audio, torch.tensor([0.25, -1.0, 0.5], dtype=torch.float64))
    together = moments.carried(attacked, clean, threat)
    for row in range(3):
        one = torch.tensor([row])
        alone = moments.select(one).carried(attacked.select(one), clean.select(one), threat)
        assert all(torch.equal(alone.stream(name)[0], together.stream(name)[row]) for name in MODALITIES)


def test_segments_that_are_spared_stay_as_they_are_where_the_model_meets_them() -> None:
    """Segments 1 and 2 of four may change. A quarter later the model's frames are theirs alike; of its sound, segment 0
    ends with two columns of the changed segment 1, and segment 2 with two of the spared segment 3."""
    threat = ThreatModel.model_validate("linf(video=0.1, audio=0.1, segments=1+2, moments=other)")
    clean, there = clips(threat), clips(threat, seed=1)
    found = at(0.25, there).carried(perturbed(clean, threat), clean, threat)
    frames = (found.video != there.video).flatten(2).any(2)
    assert frames.tolist() == [[False, True, True, False]] * 3
    columns = (found.audio != there.audio).any(2).flatten(1)
    assert columns.tolist() == [[False] * 6 + [True] * 16 + [False] * 10] * 3


def test_on_another_device_and_for_some_clips_it_is_the_same_of_them() -> None:
    there = clips(THREATS["linf(video=0.1, audio=0.05, moments=other)"])
    chosen = at(0.5, there).to("cpu").select(torch.tensor([2, 0]))
    assert torch.equal(chosen.video, there.video[[2, 0]])
    assert chosen.delay.tolist() == [0.5, 0.5]
    assert chosen.untouched(there.select(torch.tensor([2, 0]))).keys == ("2", "0")
