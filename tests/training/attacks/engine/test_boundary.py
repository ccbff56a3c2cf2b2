from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor, nn

from tests.training.attacks.targets import Constant, Deaf, classifier, random_clips
from training.attacks.engine.boundary import Boundary, boundary_at, shortest_change
from training.attacks.engine.gradients import Streams, count_unusable_gradients, direction
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel

LINF = ThreatModel(video=0.1, audio=0.3)
L2 = ThreatModel(norm="l2", video=0.1, audio=0.3)


@dataclass(frozen=True)
class Plane:
    """Random clips of one segment, with few values, and a random hyperplane."""

    clips: Batch
    boundary: Boundary

    def flat(self, streams: Streams) -> Tensor:
        """Both modalities in a row."""
        return torch.cat([streams[name].flatten(1) for name in MODALITIES], dim=1)


def plane(threat: ThreatModel, gap: float, *, width: int = 2, squeeze: float = 1.0) -> Plane:
    """Six clips; `squeeze` below 1 draws them towards the middle of the box."""
    source = torch.Generator().manual_seed(0)
    video, audio = torch.rand(6, 1, 3, 1, width, generator=source), torch.rand(6, 1, 2, width, generator=source)
    clips = Batch(
        0.5 + squeeze * (video.double() - 0.5),
        0.5 + squeeze * (audio.double() - 0.5),
        torch.zeros(6, dtype=torch.long),
        tuple("abcdef"),
    )
    slopes: Streams = {
        name: torch.randn(clips.stream(name).shape, generator=source, dtype=torch.float64) for name in MODALITIES
    }
    steepest: Streams = {name: threat.epsilon(name) * direction(slope, threat) for name, slope in slopes.items()}
    return Plane(clips, Boundary(slopes, steepest, torch.full((6,), gap, dtype=torch.float64)))


def gain(found: Plane, change: Streams) -> Tensor:
    """<slopes, change> per clip."""
    return (found.flat(found.boundary.slopes) * found.flat(change)).sum(1)


def radius(change: Streams, threat: ThreatModel) -> Tensor:
    """Largest share of its budget that a modality uses, per clip."""
    return torch.stack([threat.length(change[name]) / threat.epsilon(name) for name in MODALITIES]).amax(0)


@pytest.mark.parametrize("gap", [0.2, 1.0, -0.7, -2.0])
def test_for_linf_a_linear_program_finds_no_shorter_way_inside_the_box(gap: float) -> None:
    """min t subject to <w, d> = gap, |d_i| <= t epsilon_i and 0 <= x_i + d_i <= 1."""
    found = plane(LINF, gap)
    change = shortest_change(found.boundary, found.clips, LINF)
    budgets = found.flat(
        {name: torch.full_like(found.clips.stream(name), LINF.epsilon(name)) for name in MODALITIES}
    ).numpy()
    clips = found.flat({name: found.clips.stream(name) for name in MODALITIES}).numpy()
    slopes = found.flat(found.boundary.slopes).numpy()
    for clip in range(6):
        size = len(slopes[clip])
        solved = linprog(
            c=np.eye(size + 1)[-1],
            A_eq=np.append(slopes[clip], 0.0)[None],
            b_eq=[gap],
            A_ub=np.block([[np.eye(size), -budgets[clip][:, None]], [-np.eye(size), -budgets[clip][:, None]]]),
            b_ub=np.zeros(2 * size),
            bounds=[(-value, 1 - value) for value in clips[clip]] + [(0, None)],
        )
        assert solved.success
        assert float(radius(change, LINF)[clip]) == pytest.approx(solved.fun, rel=1e-9)
        assert float(gain(found, change)[clip]) == pytest.approx(gap, rel=1e-9)


@pytest.mark.parametrize("gap", [0.05, -0.05])
def test_for_l2_inside_the_box_the_way_is_the_closed_form(gap: float) -> None:
    """By Cauchy-Schwarz <w, d> <= t (0.1 ||w_v|| + 0.3 ||w_a||), with equality along w in each modality."""
    found = plane(L2, gap, squeeze=0.2)
    change = shortest_change(found.boundary, found.clips, L2)
    video, audio = (L2.length(found.boundary.slopes[name]) for name in MODALITIES)
    assert torch.allclose(radius(change, L2), abs(gap) / (0.1 * video + 0.3 * audio))
    assert torch.allclose(gain(found, change), torch.full((6,), gap, dtype=torch.float64))


@pytest.mark.parametrize("threat", [LINF, L2], ids=str)
def test_where_the_box_binds_the_boundary_is_reached_inside_it(threat: ThreatModel) -> None:
    found = plane(threat, 1.5, width=3)
    change = shortest_change(found.boundary, found.clips, threat)
    assert torch.allclose(gain(found, change), torch.full((6,), 1.5, dtype=torch.float64))
    moved = found.flat({name: found.clips.stream(name) + change[name] for name in MODALITIES})
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert ((moved == 0) | (moved == 1)).any(), "the box did not bind"


@pytest.mark.parametrize("threat", [LINF, L2], ids=str)
def test_a_boundary_out_of_reach_leads_to_the_corner_of_the_box(threat: ThreatModel) -> None:
    found = plane(threat, 1e6)
    change = shortest_change(found.boundary, found.clips, threat)
    for name in MODALITIES:
        corner = (found.boundary.slopes[name] > 0).double()
        assert torch.allclose(found.clips.stream(name) + change[name], corner)


@pytest.mark.parametrize("threat", [LINF, L2], ids=str)
def test_steps_land_on_the_same_plane_wherever_it_is_seen_from(threat: ThreatModel) -> None:
    """From a point d away the plane is at the gap minus <w, d>."""
    found = plane(threat, 0.3, squeeze=0.2)
    shift = {name: torch.full_like(found.clips.stream(name), 0.01) for name in MODALITIES}
    elsewhere = found.clips.with_streams(*(found.clips.stream(name) + shift[name] for name in MODALITIES))
    seen = found.boundary.seen_from(elsewhere, found.clips)
    assert torch.allclose(seen.gap, 0.3 - gain(found, shift))


def linearised(model: nn.Module) -> tuple[Boundary, Batch]:
    clips = random_clips(LINF, 3)
    targets = (clips.labels + 1) % 5
    return boundary_at(model, clips, targets, LINF, torch.Generator(), "test"), clips


def test_a_small_step_along_the_slopes_closes_the_gap_as_it_should() -> None:
    """Directional derivative by a central difference, in double precision."""
    model = classifier().eval()
    boundary, clips = linearised(model)
    differences = []
    for times in (-1e-5, 1e-5):
        moved = clips.with_streams(*(clips.stream(name) + times * boundary.slopes[name] for name in MODALITIES))
        with torch.no_grad():
            logits = model(moved.video, moved.audio).logits
        rows = torch.arange(3)
        differences.append(logits[rows, (clips.labels + 1) % 5] - logits[rows, clips.labels])
    expected = sum(boundary.slopes[name].square().flatten(1).sum(1) for name in MODALITIES)
    assert torch.allclose((differences[1] - differences[0]) / 2e-5, torch.as_tensor(expected), rtol=1e-4)


def test_a_modality_that_the_model_ignores_gains_nothing_and_moves_by_noise() -> None:
    with count_unusable_gradients() as unusable:
        boundary, clips = linearised(Deaf(classifier().eval()))
    assert (boundary.slopes["audio"] == 0).all()
    change = shortest_change(boundary, clips, LINF)
    assert (LINF.length(change["audio"]) > 0).all()
    assert (radius(change, LINF) >= LINF.length(change["video"]) / LINF.video - 1e-12).all()
    assert unusable.unusable.total() == 3


@pytest.mark.parametrize("factor", [0.0, float("nan"), float("inf")])
def test_without_any_slope_a_clip_goes_one_budget_along_noise(factor: float) -> None:
    boundary, clips = linearised(Constant(factor))
    change = shortest_change(boundary, clips, LINF)
    assert all(stream.isfinite().all() for stream in change.values())
    assert torch.allclose(radius(change, LINF), torch.ones(3, dtype=torch.float64))
