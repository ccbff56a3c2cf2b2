"""Square: random search over frames and audio that needs the scores alone."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from training.attacks.base import TargetableAttack
from training.attacks.engine.best_attempt import BestAttempt
from training.attacks.engine.gradients import Streams
from training.attacks.engine.randomness import clip_generator, uniform_like
from training.attacks.engine.windows import (
    NUM_TILES,
    canvas_of,
    on_canvas,
    tiled_bumps,
    window_bump,
    window_corners,
    window_mask,
    window_sizes,
)
from training.batch import MODALITIES, Batch, Modality, per_clip
from training.passes import Passes
from training.threat import ThreatModel

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries of 10,000 after which the windows' share is halved (Andriushchenko et al. 2020, Section 5)."""
QUERIES_PER_DRAW = 64
"""A clip's random numbers are drawn for so many queries at once."""
CORNER, OTHER_CORNER, SPLIT, SIGNS = slice(0, 3), slice(3, 6), 6, slice(7, 10)
"""Uses of a modality's ten draws for a query: two windows' corners, the axis that is halved, a sign per channel."""
DRAWS_PER_MODALITY = 10


class Square(TargetableAttack):
    """Square attack on clips: repaint a random window, keep it if the margin grows (arXiv:1912.00049, Algorithm 1).

    Andriushchenko et al. 2020. A window is a run of segments times a patch: a cube of the film, a mel-time patch of the
    log-mels, or an interval of the waveform. It covers a share p of what may be changed, `initial_share` at first and
    halved on the source's schedule. For `linf` it becomes clean +- epsilon, one sign per colour (Algorithm 2); the
    start is vertical stripes, the same in every frame; for log-mels lines along time, one sign per band; for the
    waveform one sign per sample, the same in every segment. For `l2` the budget that the window and a second one use,
    and what is unused, goes into a bump of the first, half of it negative, and the second is cleared (Algorithm 3);
    the start is a grid of such bumps. One forward pass per query.

    Differences from the source: video and audio are searched together: each query repaints a window of the one, of
    the other, or of both, a third of the time each. Windows extend over time. The schedule is stretched to `queries`.
    For `l2` one pyramid is halved, where the source puts two beside each other, and the budget moves between all
    channels at once.
    """

    name: Literal["square"] = "square"
    queries: PositiveInt = 5000
    """Forward passes; a clip that is fooled is left out of further queries."""
    initial_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """p: share of the values that the first windows cover."""

    @property
    def cost_untargeted(self) -> Passes:
        """One forward pass per query, the start included."""
        return Passes(self.queries, 0)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Repaint windows until every clip is fooled or the queries are used up."""
        best_attempt = BestAttempt(model, batch, threat)
        best_attempt.evaluate(best_attempt.remaining, _start(batch, threat, generator))
        draws = torch.empty(0)
        for query in range(1, self.queries):
            rows = best_attempt.remaining
            if not len(rows):
                break
            number = (query - 1) % QUERIES_PER_DRAW
            if number == 0:
                draws = _draws(batch, rows, generator, f"queries {query}")
            share = self.share_at(query)
            best_attempt.evaluate(
                rows, _repainted(best_attempt.best.select(rows), batch.select(rows), threat, share, draws[rows, number])
            )
        return best_attempt.best

    def share_at(self, query: int) -> float:
        """Share of the values that a window of this query covers."""
        return self.initial_share / 2.0 ** sum(query * 10_000 > after * self.queries for after in HALVINGS)


def _start(batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
    """Stripes or bumps at full budget in both modalities."""
    streams: Streams = {"video": batch.video, "audio": batch.audio}
    for name in threat.modalities:
        stream = batch.stream(name)
        channels, space = (stream.shape[2:3], stream.shape[3:]) if name == "video" else ((), stream.shape[2:])
        if threat.geometry.is_per_value:  # along height or time the same
            lines = (1, space[1]) if name == "video" else (space[0], *[1] * (len(space) - 1))
            pattern = _signs(stream.new_empty(len(stream), 1, *channels, *lines), batch, generator, f"{name} stripes")
        else:
            tiles = stream.new_empty(len(stream), 1, *channels, *[NUM_TILES] * len(space))
            pattern = tiled_bumps(_signs(tiles, batch, generator, f"{name} bumps"), space)
        delta = pattern.expand_as(stream) * threat.support(stream)
        streams[name] = stream + threat.epsilon(name) * delta / per_clip(threat.length(delta), delta)
    return batch.with_streams(**streams)


def _signs(like: Tensor, batch: Batch, generator: torch.Generator, purpose: str) -> Tensor:
    """Random signs in the shape of `like`, each clip from its own stream."""
    return torch.where(uniform_like(like, batch.keys, generator, purpose) >= 0, 1.0, -1.0).to(like)


def _draws(
    batch: Batch, rows: Tensor, generator: torch.Generator, purpose: str
) -> Float[Tensor, "batch queries draws"]:
    """Uniform numbers in [0, 1) for the next queries of the clips at `rows`: the modality's, then each modality's."""
    shape = (QUERIES_PER_DRAW, 1 + DRAWS_PER_MODALITY * len(MODALITIES))
    draws = torch.zeros(len(batch), *shape, dtype=torch.float64)
    for row in rows.tolist():
        draws[row] = torch.rand(
            shape, dtype=torch.float64, generator=clip_generator(generator, batch.keys[row], purpose)
        )
    return draws.to(batch.video.device)


def _repainted(
    best: Batch, clean: Batch, threat: ThreatModel, share: float, draws: Float[Tensor, "batch draws"]
) -> Batch:
    """The best clips so far with a window of the video, of the audio, or of both repainted."""
    streams: Streams = {"video": best.video, "audio": best.audio}
    third = (draws[:, 0] * 3).long()  # 0: video alone, 1: audio alone, 2: both
    for place, name in enumerate(MODALITIES):
        if name not in threat.modalities:
            continue
        own = draws[:, 1 + DRAWS_PER_MODALITY * place :][:, :DRAWS_PER_MODALITY]
        stream = best.stream(name)
        painted = _painted(name, best, clean, threat, share, own)
        if len(threat.modalities) > 1:
            painted = torch.where(per_clip((third == place) | (third == 2), stream), painted, stream)
        streams[name] = painted
    return best.with_streams(**streams)


def _painted(
    name: Modality,
    best: Batch,
    clean: Batch,
    threat: ThreatModel,
    share: float,
    draws: Float[Tensor, "batch draws"],
) -> Tensor:
    """One modality of each clip with its window repainted."""
    stream, epsilon = best.stream(name), threat.epsilon(name)
    segments = threat.support(stream).flatten().nonzero()[:, 0]
    canvas, original = canvas_of(stream, segments), canvas_of(clean.stream(name), segments)
    shape = (canvas.shape[1], *canvas.shape[3:])
    sizes = window_sizes(share, shape, smallest=1 if threat.geometry.is_per_value else 3)  # a bump needs a middle
    corners = window_corners(draws[:, CORNER][:, : len(shape)], shape, sizes)
    window = window_mask(corners, shape, sizes)
    signs = torch.where(draws[:, SIGNS][:, : canvas.shape[2]] < 0.5, 1.0, -1.0).to(canvas)
    signs = signs.reshape(len(signs), 1, -1, *[1] * (len(shape) - 1))
    if threat.geometry.is_per_value:  # no budget to move: each value of the window takes its own
        return on_canvas(torch.where(window, original + epsilon * signs, canvas), stream, segments)
    others = window_corners(draws[:, OTHER_CORNER][:, : len(shape)], shape, sizes)
    other = window_mask(others, shape, sizes)
    bump = window_bump(corners, shape, sizes, draws[:, SPLIT]).to(canvas) * signs
    delta = _moved_budget(canvas - original, window, other, bump, epsilon, threat)
    return on_canvas(original + delta, stream, segments)


def _moved_budget(
    delta: Tensor, window: Tensor, other: Tensor, bump: Tensor, epsilon: float, threat: ThreatModel
) -> Tensor:
    """The change with the budget of both windows, and what is unused, in a bump of the first (l2)."""
    tiny = torch.finfo(delta.dtype).tiny
    inside = delta * window
    freed = threat.length(delta * (window | other)).square()
    unused = (epsilon**2 - threat.length(delta).square()).clamp_min(0.0)
    painted = bump * window + inside / per_clip(threat.length(inside).clamp_min(tiny), inside)
    painted = painted * per_clip((freed + unused).sqrt() / threat.length(painted).clamp_min(tiny), painted)
    moved = torch.where(window, painted, delta * ~other)
    return moved * per_clip(epsilon / threat.length(moved).clamp_min(tiny), moved)
