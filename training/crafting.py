"""Efficient crafting: perturb a sample of the segments and hand what is found to their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from preprocessing.errors import SettingsError
from preprocessing.settings import Settings
from training.attacks import Attack
from training.attacks.engine.randomness import clip_generator
from training.batch import MODALITIES, Batch, gather_segments
from training.models import Outputs
from training.threat import ThreatModel


class Crafting(Settings):
    """The part of each clip that an objective's attack works on; with the defaults, all of it.

    What it saves is what the encoders do not run: with the ratio r an attack step costs r of a pass
    (arXiv:2502.11858, efficient adversarial perturbation).
    """

    sampling_ratio: float = Field(default=1.0, gt=0, le=1)
    """Share of the segments that are attacked, at least one. One set of segments serves both modalities, drawn for each
    clip and epoch evenly over the clip's length."""
    sharing: Literal["perturbation", "gradient", "none"] = "perturbation"
    """The part that segments outside the sample take over from the nearest one in it. `perturbation`: the finished one,
    cut off at each segment's own ball and box. `gradient`: in every step, so that each segment moves by itself from a
    start of its own; no dearer. `none`: nothing, they stay clean. (Not the `sharing` of an attack, which ties
    neighbours inside the attack and saves nothing.)"""

    def num_sampled(self, threat: ThreatModel, num_segments: int) -> int | None:
        """Number of segments that the encoders run on; None where the attack is given whole clips."""
        num_touchable = len(threat.segments or range(num_segments))
        num_sampled = num_sampled_segments(num_touchable, self.sampling_ratio)
        return None if num_sampled == num_touchable else num_sampled

    def share(self, threat: ThreatModel, num_segments: int) -> float:
        """Share of a clip's segments that every pass of the attack runs over."""
        num_sampled = self.num_sampled(threat, num_segments)
        return 1.0 if num_sampled is None else num_sampled / num_segments

    def refuse(self, *attacks: Attack) -> None:
        """Refuse attacks that leave out clips while they work, where what is known of each clip would be mixed up.

        Raises:
            ValueError: naming the settings that do not go together.
        """
        for attack in attacks:
            if self.sharing == "gradient" and (restarts := getattr(attack, "restarts", 1)) > 1:
                raise SettingsError(
                    f"{attack.name} with restarts={restarts} leaves out clips that are fooled, which "
                    "crafting.sharing=gradient does not allow: set restarts=1, or sharing=perturbation"
                )


WHOLE = Crafting()


def craft(
    model: nn.Module,
    batch: Batch,
    attack: Attack,
    threat: ThreatModel,
    generator: torch.Generator,
    *,
    crafting: Crafting = WHOLE,
) -> Batch:
    """Attack the clips as `crafting` says; with its defaults it is the attack itself.

    Ball, box and the threat's support hold for every segment: the sample is drawn from the segments that may be
    touched. `model` is the bare module, not its distributed wrapper: crafting must not synchronise gradients.
    """
    crafting.refuse(attack)
    num_sampled = crafting.num_sampled(threat, batch.num_segments)
    if num_sampled is None:
        return attack(model, batch, threat, generator)
    touchable = torch.tensor(threat.segments or range(batch.num_segments), device=batch.video.device)
    index = touchable[stratified_segments(len(touchable), num_sampled, batch.keys, generator, batch.video.device)]
    nearest = nearest_sampled(index, batch.num_segments)
    if crafting.sharing == "gradient":
        return attack(SampleSharingGradients(model, index, nearest), batch, threat, generator)
    clean = batch.select_segments(index)
    perturbed = attack(model, clean, threat.anywhere(), generator)
    changes = {name: gather_segments(perturbed.stream(name) - clean.stream(name), nearest) for name in MODALITIES}
    if crafting.sharing == "none":
        is_other = index.gather(1, nearest) != torch.arange(batch.num_segments, device=index.device)
        for change in changes.values():
            change[is_other] = 0.0
    moved = batch.with_streams(batch.video + changes["video"], batch.audio + changes["audio"])
    return threat.project(moved, around=batch)


def craft_mixed(
    model: nn.Module,
    batch: Batch,
    attacks: Sequence[Attack],
    shares: Sequence[float],
    threat: ThreatModel,
    generator: torch.Generator,
    *,
    crafting: Crafting = WHOLE,
) -> Batch:
    """`craft` with one attack per clip: the first of `attacks` takes what `shares`, those of the others, leave to it.

    Which one a clip draws is decided by its key and the generator's seed, another one in every epoch. With no shares it
    is `craft` with the first attack.
    """
    crafting.refuse(*attacks)
    drawn = drawn_attacks(shares, batch.keys, generator)
    if not any(drawn):
        return craft(model, batch, attacks[0], threat, generator, crafting=crafting)
    video, audio = batch.video.clone(), batch.audio.clone()
    for number, attack in enumerate(attacks):
        rows = torch.tensor([row for row, each in enumerate(drawn) if each == number], device=video.device).long()
        if len(rows):
            part = craft(model, batch.select(rows), attack, threat, generator, crafting=crafting)
            video[rows], audio[rows] = part.video, part.audio
    return batch.with_streams(video, audio)


def drawn_attacks(shares: Sequence[float], keys: tuple[str, ...], generator: torch.Generator) -> list[int]:
    """The number of each clip's attack: from 1 with the probabilities `shares`, 0 with what is left of 1."""
    if not any(shares):
        return [0] * len(keys)
    limits = list(accumulate(shares))
    draws = [float(torch.rand((), generator=clip_generator(generator, key, "attack"))) for key in keys]
    return [next((number for number, limit in enumerate(limits, 1) if draw < limit), 0) for draw in draws]


def num_sampled_segments(num_segments: int, sampling_ratio: float) -> int:
    """Number of segments that a ratio in (0, 1] samples of `num_segments`: at least one."""
    return max(1, min(num_segments, round(sampling_ratio * num_segments)))


def stratified_segments(
    num_segments: int, num_sampled: int, keys: tuple[str, ...], generator: torch.Generator, device: torch.device
) -> Int[Tensor, "batch sampled"]:
    """One random segment out of each of `num_sampled` equal stretches of every clip, in order of time."""
    edges = torch.arange(num_sampled + 1) * num_segments // num_sampled
    widths = edges.diff()
    draws = torch.stack([torch.rand(num_sampled, generator=clip_generator(generator, key, "segments")) for key in keys])
    return (edges[:-1] + (draws * widths).long()).to(device)


def nearest_sampled(index: Int[Tensor, "batch sampled"], num_segments: int) -> Int[Tensor, "batch segments"]:
    """For every segment, the position in `index` of the sampled one nearest in time; of two the earlier one."""
    times = torch.arange(num_segments, device=index.device)
    return (times[None, :, None] - index[:, None, :]).abs().argmin(2)


class SampleSharingGradients(nn.Module):
    """A model for whole clips that encodes only the sampled segments.

    Every segment is given the gradient of the sampled one that is nearest to it.
    """

    def __init__(
        self, model: nn.Module, index: Int[Tensor, "batch sampled"], nearest: Int[Tensor, "batch segments"]
    ) -> None:
        super().__init__()
        self.model = model
        self.index = index
        self.nearest = nearest

    def forward(
        self, video: Float[Tensor, "batch segments 3 height width"], audio: Float[Tensor, "batch segments *patch"]
    ) -> Outputs:
        """Classify the sample."""
        sampled = (_Sample.apply(stream, self.index, self.nearest) for stream in (video, audio))
        outputs: Outputs = self.model(*sampled)
        return outputs


class _Sample(torch.autograd.Function):
    """Picks segments; backwards every segment gets the gradient of the picked one that is nearest to it."""

    @staticmethod
    def forward(ctx: Any, stream: Tensor, index: Tensor, nearest: Tensor) -> Tensor:
        ctx.save_for_backward(nearest)
        return gather_segments(stream, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (nearest,) = ctx.saved_tensors
        return gather_segments(gradient, nearest), None, None
