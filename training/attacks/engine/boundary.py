"""The shortest way, in budgets, onto the other side of a hyperplane without leaving the box."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.attacks.engine.gradients import Streams, detached_inputs, direction, note_unusable, vjp
from training.attacks.engine.randomness import uniform_like
from training.batch import Batch, per_clip
from training.threat import ThreatModel

PerClip = Float[Tensor, " batch"]

MAX_NEWTON_STEPS = 50
"""It takes three to six; each lands on or short of the solution."""


@dataclass(frozen=True)
class Boundary:
    """The hyperplane <slopes, change> = gap on which a target's logit reaches the label's, linearised at some clips."""

    slopes: Streams
    """Gradient of z_t - z_y at the clips, 0 where the threat allows no change."""
    steepest: Streams
    """Change of one budget along the slopes; noise of one budget at a modality whose slopes carry no information."""
    gap: PerClip
    """By how much z_t - z_y has to grow; negative where the target is ahead."""

    def seen_from(self, other: Batch, here: Batch) -> Boundary:
        """The same hyperplane for clips at `other`, where it was linearised at `here`."""
        shifts = [
            (slope * (here.stream(name) - other.stream(name))).flatten(1).sum(1) for name, slope in self.slopes.items()
        ]
        return Boundary(self.slopes, self.steepest, self.gap + torch.stack(shifts).sum(0))

    def beyond(self) -> Boundary:
        """The parallel hyperplane as far away, on which the target is further ahead, for clips already behind this."""
        return Boundary(self.slopes, self.steepest, self.gap.abs())


def boundary_at(
    model: nn.Module,
    clips: Batch,
    targets: Tensor,
    threat: ThreatModel,
    generator: torch.Generator,
    purpose: str,
) -> Boundary:
    """Linearise z_t - z_y at `clips`: one forward and one backward pass.

    Where no modality's slopes carry information the gap is what nothing can close, so that a clip goes where the noise
    points instead of being called robust.
    """
    differentiable, streams = detached_inputs(clips, threat.modalities)
    logits = model(differentiable.video, differentiable.audio).logits
    rows = torch.arange(len(clips), device=logits.device)
    pair = torch.zeros_like(logits)
    pair[rows, targets] += 1.0
    pair[rows, clips.labels] -= 1.0
    found = vjp(logits, streams, pair)
    slopes: Streams = {}
    steepest: Streams = {}
    is_empty = torch.ones(len(clips), dtype=torch.bool, device=logits.device)
    for name, stream in zip(threat.modalities, found, strict=True):
        slope = torch.nan_to_num(stream, nan=0.0, posinf=0.0, neginf=0.0) * threat.support(stream)
        largest = slope.flatten(1).abs().amax(1)
        lost = largest == 0
        note_unusable(clips.keys, lost)
        is_empty &= lost
        noise = uniform_like(slope, clips.keys, generator, f"{name} {purpose}") * threat.support(slope)
        shown = torch.where(per_clip(lost, slope), noise, slope / per_clip(torch.where(lost, 1.0, largest), slope))
        slopes[name], steepest[name] = slope, threat.epsilon(name) * direction(shown, threat)
    wide = logits.detach().to(slopes[threat.modalities[0]].dtype)
    scores = (wide[rows, clips.labels], wide[rows, targets])
    # Behind the boundary by what rounding the logits can hide, so that a tie is not the end of the way.
    gap = scores[0] - scores[1] + torch.finfo(wide.dtype).eps * (scores[0].abs() + scores[1].abs())
    return Boundary(slopes, steepest, torch.where(is_empty | ~gap.isfinite(), torch.inf, gap))


def shortest_change(boundary: Boundary, clips: Batch, threat: ThreatModel) -> Streams:
    """The change onto the boundary that takes the smallest share of the budgets.

    d_i = sign_i min(t u_i, room_i), with u_i one budget's steepest change and room_i the way to the box: the gain
    G(t) = sum |w_i| min(t u_i, room_i) is concave and piecewise linear, so Newton's method from t = 0 rises to the
    solution of G(t) = |gap| in finitely many steps. For `linf`, u_i = epsilon_m, no smaller share can reach the
    boundary. For `l2`, u_i = epsilon_m |w_i| / ||w_m||, that is exact where the box does not bind; where it does, one
    multiplier serves all values and both modalities, and the change may be a little longer than needed. A gap that
    cannot be closed inside the box is closed as far as it can be.
    """
    side = torch.where(boundary.gap < 0, -1.0, 1.0).to(boundary.gap.dtype)
    wanted = boundary.gap.abs()
    slopes, moves, rooms = [], [], []
    for name, slope in boundary.slopes.items():
        low, high = threat.box(name)
        move = boundary.steepest[name] * per_clip(side, slope)
        stream = clips.stream(name)
        slopes.append(slope.abs().flatten(1))
        moves.append(move.flatten(1))
        rooms.append(torch.where(move > 0, high - stream, stream - low).clamp_min(0).flatten(1))
    slope, move, room = (torch.cat(parts, dim=1) for parts in (slopes, moves, rooms))
    share = _share_of_budget(slope, move.abs(), room, wanted)
    change = move.sign() * torch.minimum(share[:, None] * move.abs(), room)
    sizes = [stream[0].numel() for stream in boundary.slopes.values()]
    parts = torch.split(change, sizes, dim=1)
    return {name: part.reshape(boundary.slopes[name].shape) for name, part in zip(boundary.slopes, parts, strict=True)}


def _share_of_budget(
    slope: Float[Tensor, "batch values"],
    move: Float[Tensor, "batch values"],
    room: Float[Tensor, "batch values"],
    wanted: PerClip,
) -> PerClip:
    """Smallest t with sum slope min(t move, room) = wanted; where there is none, the t that fills all rooms.

    Where nothing has a slope it is 1: the noise is followed for one budget.
    """
    tiny = torch.finfo(move.dtype).tiny
    needed = torch.where(slope > 0, room / move.clamp_min(tiny), 0.0)
    full = torch.where((slope > 0).any(1), needed.amax(1), 1.0)
    is_out_of_reach = (slope * room).sum(1) <= wanted
    share = torch.where(is_out_of_reach, full, 0.0)
    for _ in range(MAX_NEWTON_STEPS):
        rate = (slope * move * (needed > share[:, None])).sum(1)
        gained = (slope * torch.minimum(share[:, None] * move, room)).sum(1)
        step = ((wanted - gained) / rate.clamp_min(tiny)).clamp_min(0.0)
        step = torch.where(is_out_of_reach | (rate <= 0), 0.0, step)
        share = share + step
        if bool((step <= 4 * torch.finfo(share.dtype).eps * share).all()):
            break
    return share
