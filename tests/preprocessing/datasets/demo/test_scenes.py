from __future__ import annotations

import numpy as np
import pytest

from preprocessing.datasets.demo.scenes import (
    HEIGHT,
    LOOKS,
    WIDTH,
    Actor,
    SceneStyle,
    Sketch,
    gesture_strength,
    render_frames,
)
from preprocessing.datasets.demo.sounds import Note

NOTES = (Note(0.4, 0.8, 220.0, 1.0), Note(1.2, 0.8, 220.0, 1.0))
CALM = SceneStyle(background_contrast=0.0, camera_noise=0.0, lean=0.0)


def render(*actors: Actor, style: SceneStyle = CALM, seed: int = 0) -> np.ndarray:
    return render_frames(
        np.random.default_rng(seed), actors, NOTES, style, num_frames=50, frames_per_second=25.0
    ).astype(float)


def motion(frames: np.ndarray) -> np.ndarray:
    """Mean change from one frame to the next; element i is the step into frame i + 1."""
    return np.asarray(np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3)))


def test_a_gesture_jumps_at_the_onset_and_dies_away() -> None:
    """0.15 s after an onset of velocity 1 the strength is exp(-1) = 0.368."""
    strength = gesture_strength(NOTES, np.array([0.39, 0.4, 0.55, 1.19, 1.2]))
    assert strength == pytest.approx([0.0, 1.0, 0.368, 0.005, 1.0], abs=1e-3)


@pytest.mark.parametrize("look", sorted(LOOKS))
def test_the_lead_moves_most_at_the_onsets(look: str) -> None:
    """Onsets at 0.4 s and 1.2 s are frames 10 and 30 at 25 frames a second."""
    steps = motion(render(Actor(look, 1.0)))
    assert set(np.argsort(steps)[-2:] + 1) == {10, 30}


@pytest.mark.parametrize("look", sorted(LOOKS))
def test_every_look_stands_out_from_the_background(look: str) -> None:
    with_actor, without = render(Actor(look, 1.0)), render()
    changed = np.abs(with_actor - without).max(axis=1) > 25
    assert 0.08 < changed.mean() < 0.7


def test_contrast_scales_how_much_the_actor_shows() -> None:
    clear, faint, empty = render(Actor("face", 1.0)), render(Actor("face", 0.25)), render()
    assert np.abs(faint - empty).mean() == pytest.approx(0.25 * np.abs(clear - empty).mean(), rel=0.1)


def test_a_bystander_ignores_the_notes() -> None:
    steps = motion(render(Actor("keyboard", 1.0, is_lead=False)))
    assert steps[9] < 2.0 * np.median(steps) + 0.5


def test_camera_noise_differs_from_frame_to_frame() -> None:
    frames = render(style=SceneStyle(background_contrast=0.0, camera_noise=0.02, lean=0.0))
    assert frames.std(axis=(1, 2, 3)) == pytest.approx(np.full(50, frames[0].std()), rel=0.2)
    assert motion(frames).min() > 0.02 * 255


def test_frames_are_the_same_for_the_same_seed() -> None:
    assert np.array_equal(render(Actor("bellows", 0.8), seed=4), render(Actor("bellows", 0.8), seed=4))
    assert not np.array_equal(render(Actor("bellows", 0.8), seed=4), render(Actor("bellows", 0.8), seed=5))


@pytest.mark.parametrize(("tilt", "mirrored", "side"), [(0.0, False, 1), (0.0, True, -1), (np.pi, False, -1)])
def test_a_disc_is_painted_where_the_tilted_frame_puts_it(tilt: float, mirrored: bool, side: int) -> None:
    """A disc 0.25 frame heights right of the middle; mirrored, or turned by half a turn, it is left of it."""
    sketch = Sketch(centre=(0.0, 0.0), scale=1.0, tilt=tilt, mirrored=mirrored)
    sketch.disc(0.25, 0.0, 0.1, (1.0, 0.5, 0.25), tilted=True)
    rows, columns = np.nonzero(sketch.alpha > 0.5)
    middle = np.array(sketch.alpha.shape) / 2
    assert rows.mean() - middle[0] == pytest.approx(0.0, abs=1.0)
    assert columns.mean() - middle[1] == pytest.approx(side * 0.25 * HEIGHT, abs=1.0)
    assert sketch.alpha.sum() == pytest.approx(np.pi * (0.1 * HEIGHT) ** 2, rel=0.05)
    assert sketch.colour[:, rows[0], columns[0]] == pytest.approx(
        sketch.alpha[rows[0], columns[0]] * np.array([1.0, 0.5, 0.25])
    )


def test_frames_have_half_the_size_of_the_video() -> None:
    assert render().shape == (50, 3, HEIGHT, WIDTH)
