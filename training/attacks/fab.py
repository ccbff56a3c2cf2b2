"""FAB-T: the smallest perturbation, found by walking along the boundary between two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from training.attacks.base import Attack
from training.attacks.engine.best_attempt import attack_margin, chosen, measured_margin, replaced
from training.attacks.engine.boundary import boundary_at, shortest_change
from training.attacks.engine.gradients import Streams
from training.attacks.engine.losses import likely_wrong_classes
from training.attacks.engine.starts import start_at_radius
from training.batch import MODALITIES, Batch, per_clip
from training.passes import Passes
from training.threat import ThreatModel

PerClip = Float[Tensor, " batch"]

SEARCH_STEPS = 3
"""Forward passes of the final search (as the source)."""
SAFETY = 1.01
"""The final search stops so far behind the boundary that rounding in another batch does not take a clip back."""


class FAB(Attack):
    """Fast adaptive boundary attack, targeted: the nearest point at which the model is wrong.

    With d(x) the shortest change from x, inside the box, onto the hyperplane where z_t - z_y, linearised at x_k,
    is 0: x_{k+1} = (1 - a)(x_k + eta d(x_k)) + a (x + eta d(x)), a = min(|d(x_k)| / (|d(x_k)| + |d(x)|), alpha_max);
    from a point that fools the model back to x + beta (x_k - x) (Croce & Hein 2020, arXiv:1907.02044, Algorithm 1;
    towards one class at a time as in arXiv:2003.01690, Section 5). Two forward and one backward pass per step.

    Differences from the source: the norm is that of the product ball, the largest share of its budget that a modality
    uses, max_m |delta_m| / epsilon_m, so one number says how near a clip of video and audio is; for `l2` the
    projection is exact only where the box does not bind (`shortest_change`). The smallest perturbation found is cut off
    at the budget: the attack has failed where it is larger. One final search at the end serves all targets, and stays
    1 % behind the boundary. A clip that is wrong untouched takes one step away from its label and no other.
    """

    name: Literal["fab"] = "fab"
    steps: PositiveInt = 100
    """Steps towards each target."""
    num_targets: PositiveInt = 9
    """Wrong classes to try, the likeliest first; all of them if the model has fewer."""
    restarts: PositiveInt = 1
    """Starts towards each target: the clean clip, then random points half as far as the nearest that is known."""
    overshoot: Annotated[float, Field(ge=1)] = 1.05
    """eta: how much longer a step is than the way to the linearised boundary."""
    attraction: Annotated[float, Field(ge=0, le=1)] = 0.1
    """alpha_max: the largest weight of the step that starts at the clean clip."""
    retreat: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """beta: the share of a perturbation that fools the model from which the search for a smaller one goes on."""

    @property
    def cost(self) -> Passes:
        """A look at the clean clip, two passes per step, target and start, and the final search."""
        return Passes(1 + SEARCH_STEPS, 0) + Passes(2, 1) * (self.steps * self.num_targets * self.restarts)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Walk towards each target."""
        with torch.no_grad():
            logits = model(batch.video, batch.audio).logits
        targets = likely_wrong_classes(logits, batch, self.num_targets)
        margins = attack_margin(logits, batch)
        wrong, right = (margins > 0).nonzero()[:, 0], (margins <= 0).nonzero()[:, 0]
        result = batch
        if len(wrong):
            away = self._away(model, batch.select(wrong), targets[wrong, 0], threat, generator)
            result = replaced(result, wrong, away)
        if len(right):
            clips = batch.select(right)
            nearest = Nearest(clips, threat)
            for rank in range(targets.shape[1]):
                for restart in range(self.restarts):
                    purpose = f"boundary {rank} restart {restart}"
                    start = clips
                    if restart:
                        radius = nearest.radius.clamp_max(1.0) / 2
                        start = start_at_radius(clips, threat, generator, purpose, radius)
                    self._walk(model, start, targets[right, rank], nearest, generator, purpose)
            nearest.approach(model, margins[right])
            result = replaced(result, right, nearest.clips)
        return result

    def _away(
        self, model: nn.Module, clips: Batch, targets: Tensor, threat: ThreatModel, generator: torch.Generator
    ) -> Batch:
        """Clips that are wrong already, as far behind the boundary again as they are."""
        boundary = boundary_at(model, clips, targets, threat, generator, "away")
        return _moved(clips, shortest_change(boundary.beyond(), clips, threat), 1.0, threat)

    def _walk(
        self,
        model: nn.Module,
        start: Batch,
        targets: Int[Tensor, " batch"],
        nearest: Nearest,
        generator: torch.Generator,
        purpose: str,
    ) -> None:
        """Walk along the boundary to one target, and enter every point that fools the model."""
        clean, threat, here = nearest.clean, nearest.threat, start
        for step in range(self.steps):
            boundary = boundary_at(model, here, targets, threat, generator, f"{purpose} step {step}")
            change = shortest_change(boundary, here, threat)
            change_of_clean = shortest_change(boundary.seen_from(clean, here), clean, threat)
            near, far = _size(change, threat), _size(change_of_clean, threat)
            pull = (near / (near + far)).nan_to_num(nan=0.0).clamp_max(self.attraction)
            here = _between(
                _moved(here, change, self.overshoot, threat),
                _moved(clean, change_of_clean, self.overshoot, threat),
                pull,
            )
            margins = measured_margin(model, here)
            nearest.evaluate(here, margins)
            here = _between(here, clean, torch.where(margins > 0, 1 - self.retreat, 0.0).to(pull.dtype))


@dataclass
class Nearest:
    """The smallest perturbation of each clip that fools the model; the last one tried where none has."""

    clean: Batch
    threat: ThreatModel

    def __post_init__(self) -> None:
        self.clips = self.clean
        self.margins: Float[Tensor, " batch"] = torch.full_like(self.clean.labels, -torch.inf, dtype=torch.float64)
        self.radius: PerClip = self.clean.video.new_full((len(self.clean),), torch.inf)
        """Largest share of its budget that a modality uses; infinite where nothing has fooled the model."""

    def evaluate(self, clips: Batch, margins: Float[Tensor, " batch"]) -> None:
        """Keep these where they fool the model from nearer, or where nothing has."""
        streams: Streams = {name: clips.stream(name) - self.clean.stream(name) for name in self.threat.modalities}
        radius = torch.where(margins > 0, _size(streams, self.threat), torch.inf)
        is_kept = (radius < self.radius) | self.radius.isinf()
        self.clips = chosen(is_kept, clips, self.clips)
        self.margins = torch.where(is_kept, margins, self.margins)
        self.radius = torch.where(is_kept, radius, self.radius)

    def approach(self, model: nn.Module, clean_margins: Float[Tensor, " batch"]) -> None:
        """Search the line from the clean clips for a nearer point, where the margin would cross 0 if it were linear."""
        outer, found = self.clips, self.radius.isfinite()
        low, high = torch.zeros_like(clean_margins), torch.ones_like(clean_margins)
        low_margins, high_margins = clean_margins, self.margins
        for _ in range(SEARCH_STEPS):
            crossing = (low_margins / (low_margins - high_margins)).nan_to_num(nan=0.5)
            crossing = torch.where(high_margins.isfinite(), crossing, 0.5)
            tried = torch.minimum(low + (high - low) * crossing * SAFETY, high)
            point = _between(self.clean, outer, tried.to(self.radius.dtype))
            margins = measured_margin(model, point)
            fools = margins > 0
            closer = found & fools & (tried < high)
            self.clips = chosen(closer, point, self.clips)
            low, high = torch.where(fools, low, tried), torch.where(fools, tried, high)
            low_margins, high_margins = (
                torch.where(fools, low_margins, margins),
                torch.where(fools, margins, high_margins),
            )


def _size(streams: Streams, threat: ThreatModel) -> PerClip:
    """Length of a change in the product ball: the largest share of its budget that a modality uses."""
    shares = [threat.length(stream) / threat.epsilon(name) for name, stream in streams.items()]
    return torch.stack(shares).amax(0)


def _moved(clips: Batch, change: Streams, times: float, threat: ThreatModel) -> Batch:
    """The clips changed by `times` a change, inside the box."""
    streams: Streams = {"video": clips.video, "audio": clips.audio}
    for name, stream in change.items():
        streams[name] = (clips.stream(name) + times * stream).clamp(*threat.box(name))
    return clips.with_streams(**streams)


def _between(clips: Batch, others: Batch, weight: PerClip) -> Batch:
    """The points at `weight` on the line from `clips` to `others`; the clips themselves, bit for bit, at 0."""
    streams: Streams = {
        name: clips.stream(name) + per_clip(weight, clips.stream(name)) * (others.stream(name) - clips.stream(name))
        for name in MODALITIES
    }
    return clips.with_streams(**streams)
