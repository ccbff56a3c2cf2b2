from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.corruptions.kinds.base import SEVERITIES, Severity
from evaluation.corruptions.kinds.human import Concert, Crowd, Interference, Smoke, muting_order, people
from evaluation.corruptions.materials.draws import Draws
from tests.evaluation.corruptions.conftest import made_clip


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize(("num_samples", "chunk_seconds"), [(160_000, 2.0), (16_001, 2.0), (80_001, 0.3), (999, 0.01)])
def test_the_muted_share_is_the_one_named(severity: Severity, num_samples: int, chunk_seconds: float) -> None:
    """The published silences overlap, and so are fewer; and its input is written to."""
    clip = made_clip(16, 16, num_samples=num_samples)
    clip = replace(clip, waveform=np.full(num_samples, 0.25, np.float32))
    found = Interference(chunk_seconds=chunk_seconds)(clip, severity, seed=0).waveform
    assert (found == 0.0).sum() == round(0.1 * severity * num_samples)
    assert (found[found != 0.0] == 0.25).all()
    assert (clip.waveform == 0.25).all()


def test_silences_last_two_seconds_and_lie_apart() -> None:
    """4 s of 20 are two whole chunks, each at a place of its own."""
    clip = made_clip(16, 16, num_samples=320_000)
    clip = replace(clip, waveform=np.full(320_000, 0.25, np.float32))
    silence = Interference()(clip, 2, seed=2).waveform == 0.0
    edges = np.diff(np.concatenate([silence[-1:], silence]).astype(int))
    assert (edges == 1).sum() in (1, 2)  # neighbours join
    assert silence.sum() == 64_000


def test_a_larger_share_silences_what_a_smaller_one_does() -> None:
    order = muting_order(np.random.default_rng(0), 1000, chunk=300)
    assert sorted(order) == list(range(1000))
    assert all(step in (1, -999) for step in np.diff(order[:100]))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_camera_is_turned_by_one_angle_within_the_limit(severity: Severity) -> None:
    """A bright arm to the right of the middle tells the angle, the same in all frames."""
    clip = made_clip(65, 65)
    video = np.zeros_like(clip.video)
    video[:, :, 32, 40:60] = 1.0
    found = Interference()(replace(clip, video=video), severity, seed=5).video
    assert np.ptp(found, axis=0).max() == 0.0
    rows, columns = np.nonzero(found[0, 0] > 0.3)
    degrees = np.degrees(np.arctan2(rows.mean() - 32, columns.mean() - 32))
    assert abs(degrees) <= 6 * severity + 5
    drawn = Draws(5, "interference", clip.key).random("video").uniform(-1.0, 1.0)
    assert abs(degrees) == pytest.approx((6 * severity + 5) * abs(drawn), abs=2.0)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("size", [(60, 60), (40, 80)])
def test_the_crowd_fills_a_box_of_the_sides_named(severity: Severity, size: tuple[int, int]) -> None:
    clip = made_clip(*size)
    clip = replace(clip, video=np.full_like(clip.video, 0.9))
    for frame in Crowd()(clip, severity, seed=0).video:
        rows, columns = np.nonzero((frame < 0.8).any(0))
        assert rows.max() == size[0] - 1
        assert np.ptp(rows) + 1 == pytest.approx(0.1 * severity * size[0], abs=1.0)
        assert np.ptp(columns) + 1 == pytest.approx(0.1 * severity * size[1], rel=0.12, abs=1.5)


def test_the_crowd_moves_slowly_and_stays_the_same() -> None:
    clip = made_clip(100, 100)
    clip = replace(clip, video=np.full_like(clip.video, 0.9))
    found = Crowd()(clip, 5, seed=3).video
    colours = [sorted({tuple(pixel) for pixel in frame.reshape(3, -1).T.tolist()}) for frame in found]
    assert all(each == colours[0] for each in colours)
    lefts = [np.nonzero((frame < 0.8).any((0, 1)))[0].min() for frame in found]
    assert max(abs(np.diff(lefts))) <= 1 + 0.04 * 50 * clip.segment_seconds


def test_people_cover_most_of_their_box_and_have_heads() -> None:
    outlines = people((100, 100))
    covered = np.logical_or.reduce(outlines)
    assert 0.55 < covered.mean() < 0.9
    assert covered[-1].mean() > 0.9 > 0.3 > covered[5].mean() > 0.0


def test_stage_light_adds_the_brightness_named_and_keeps_the_hue() -> None:
    """0.2 on the largest of (0.2, 0.4, 0.1) is a factor of 1.5, times the gusts of at most 1.4."""
    clip = made_clip(16, 16)
    colour = np.array([0.2, 0.4, 0.1], np.float32)[:, None, None]
    found = Concert()(replace(clip, video=np.broadcast_to(colour, clip.video.shape).copy()), 2, seed=0).video
    strengths = Draws(0, "concert", clip.key).gusts().at(clip.frame_seconds)
    assert found[:, 1, 0, 0] == pytest.approx(0.4 + 0.2 * strengths, abs=1e-5)
    assert found[:, 0] == pytest.approx(0.5 * found[:, 1], abs=1e-5)
    black = Concert()(replace(clip, video=np.zeros_like(clip.video)), 2, seed=0).video
    assert black[:, 0, 0, 0] == pytest.approx(0.2 * strengths, abs=1e-5)


def test_smoke_drifts() -> None:
    """Frames differ a little, and are the first one moved."""
    clip = made_clip(64, 64)
    grey = replace(clip, video=np.full_like(clip.video, 0.5), segment_seconds=1.0)
    found = Smoke()(grey, 3, seed=0).video[:, 0]
    right, up = round(0.04 * 64 * 4), round(0.3 * 0.04 * 64 * 4)
    moved = [np.roll(found[0], (-up, sign * right), (0, 1)) for sign in (-1, 1)]
    alike = [float(np.corrcoef(each.ravel(), found[4].ravel())[0, 1]) for each in (*moved, found[0])]
    assert max(alike[:2]) > max(0.9, alike[2])
    assert np.abs(np.diff(found, axis=0)).mean() > 1e-3


def test_smoke_of_a_black_clip_is_black() -> None:
    """It is brought back to the range that the frames had."""
    clip = made_clip(16, 16)
    assert not Smoke()(replace(clip, video=np.zeros_like(clip.video)), 3, seed=0).video.any()
