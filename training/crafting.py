"""Efficient crafting: perturb a sample of the segments and share what is found with their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor, nn

from preprocessing.settings import Settings
from training.attacks import Attack
from training.attacks.engine.randomness import clip_generator
from training.batch import MODALITIES, Batch, Starts, gather_segments
from training.partial_view import SampleAmongClean, SampleSharingGradients
from training.threat import ThreatModel


class Crafting(Settings):
    """How an objective applies its attack; with the defaults, as the attack is written.

    What it saves is what the encoders do not run: with the ratio r an attack step costs r of a pass
    (arXiv:2502.11858, efficient adversarial perturbation).
    """

    sampling_ratio: float = Field(default=1.0, gt=0, le=1)
    """Share of the segments that are attacked, at least one. One
    set of segments serves both modalities, drawn for each clip and epoch evenly over the clip's length."""
    sharing: Literal["perturbation", "gradient", "none"] = "perturbation"
    """What the others take over from the attacked segment that is nearest. `perturbation`: the finished one, cut off at
    each segment's own ball and box. `gradient`: in every step, so that each segment moves by itself from a start of its
    own; no dearer. `none`: nothing, they stay clean. (A perturbation that is optimised as applied to all segments at
    once is an attack's own `sharing`, with a ratio of 1.)"""
    context: Literal["none", "clean_features"] = "none"
    """What the loss sees beside the sampled segments. `none`: they are taken for the whole clip. `clean_features`: the
    others as they are when clean, so that gradients are those of the whole clip; their features are computed once, for
    1 - r of a forward pass."""
    warm_start: bool = False
    """Whether an attack begins where that on the same clip ended in the epoch before (ATTA, Zheng et al. 2020,
    arXiv:1912.11969), so that few steps come as far as many. Clips that the epoch before has left out, and all in the
    first one, begin as the attack is written. What is kept is in units of the budget, so it grows with the budget, and
    takes a byte a value (`warm_start_mib`). ATTA also forgets every few epochs; this does not."""

    def num_sampled(self, threat: ThreatModel, num_segments: int) -> int | None:
        """How many segments the encoders run on; None where the attack is given whole clips."""
        num_touchable = len(threat.segments or range(num_segments))
        num_sampled = num_sampled_segments(num_touchable, self.sampling_ratio)
        return None if num_sampled == num_touchable else num_sampled

    def share(self, threat: ThreatModel, num_segments: int) -> float:
        """Share of a clip's segments that every pass of the attack runs over."""
        num_sampled = self.num_sampled(threat, num_segments)
        return 1.0 if num_sampled is None else num_sampled / num_segments

    def context_share(self, threat: ThreatModel, num_segments: int) -> float:
        """Share of a clip's segments whose clean features are computed, once and without gradients."""
        return 0.0 if self.context == "none" else 1.0 - self.share(threat, num_segments)

    def refuse(self, *attacks: Attack) -> None:
        """Refuse attacks that these settings mean nothing to, or that they would be wrong for.

        One that leaves out clips while it works would mix up what is known of the others; one that chooses where it
        begins would be no warmer.

        Raises:
            ValueError: naming the settings that do not go together.
        """
        needs_every_clip = self.context != "none" or self.sharing == "gradient"
        for attack in attacks:
            if self.warm_start and not attack.begins_anywhere:
                raise ValueError(
                    f"{attack.name} chooses by itself where it begins, which crafting.warm_start=true cannot change: "
                    "set warm_start=false, or take an attack that climbs from any point, such as pgd or tma"
                )
            if needs_every_clip and (restarts := getattr(attack, "restarts", 1)) > 1:
                raise ValueError(
                    f"{attack.name} with restarts={restarts} leaves out clips that are fooled, which "
                    f"crafting.context={self.context} with crafting.sharing={self.sharing} does not allow: set "
                    "restarts=1, or context=none and sharing=perturbation"
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
    touched. With warm starts the crafted clips' `starts` are where the attack ended.

    `model` is the bare module, not its distributed wrapper: crafting must not synchronise gradients.
    """
    return craft_mixed(model, batch, [attack], [], threat, generator, crafting=crafting)


def _crafted(
    model: nn.Module,
    batch: Batch,
    attack: Attack,
    threat: ThreatModel,
    generator: torch.Generator,
    crafting: Crafting,
) -> Batch:
    num_sampled = crafting.num_sampled(threat, batch.num_segments)
    if num_sampled is None:
        return attack(model, batch, threat, generator)
    touchable = torch.tensor(threat.segments or range(batch.num_segments), device=batch.video.device)
    index = touchable[stratified_segments(len(touchable), num_sampled, batch.keys, generator, batch.video.device)]
    nearest = nearest_sampled(index, batch.num_segments)
    view = model if crafting.context == "none" else SampleAmongClean.of(model, batch, index)
    if crafting.sharing == "gradient":
        return attack(SampleSharingGradients(view, index, nearest), batch, threat, generator)
    clean = batch.select_segments(index)
    perturbed = attack(view, clean, threat.anywhere(), generator)
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
    begun = batch if crafting.warm_start else batch.with_starts(None)
    drawn = drawn_attacks(shares, batch.keys, generator)
    if any(drawn):
        video, audio = batch.video.clone(), batch.audio.clone()
        for number, attack in enumerate(attacks):
            rows = torch.tensor([row for row, each in enumerate(drawn) if each == number], device=video.device).long()
            if len(rows):
                part = _crafted(model, begun.select(rows), attack, threat, generator, crafting)
                video[rows], audio[rows] = part.video, part.audio
        crafted = batch.with_streams(video, audio)
    else:
        crafted = _crafted(model, begun, attacks[0], threat, generator, crafting)
    return crafted.with_starts(_reached(crafted, batch, threat, crafting))


def _reached(crafted: Batch, clean: Batch, threat: ThreatModel, crafting: Crafting) -> Starts | None:
    """What was changed, in units of the budgets; None if nobody is to begin there, or if there was no budget."""
    if not (crafting.warm_start and threat.modalities):
        return None
    change = {name: crafted.stream(name) - clean.stream(name) for name in MODALITIES}
    for name in threat.modalities:
        change[name] = change[name] / threat.epsilon(name)
    return Starts(**change, is_known=torch.ones_like(clean.labels, dtype=torch.bool))


def drawn_attacks(shares: Sequence[float], keys: tuple[str, ...], generator: torch.Generator) -> list[int]:
    """The number of each clip's attack: from 1 with the probabilities `shares`, 0 with what is left of 1."""
    if not any(shares):
        return [0] * len(keys)
    limits = list(accumulate(shares))
    draws = [float(torch.rand((), generator=clip_generator(generator, key, "attack"))) for key in keys]
    return [next((number for number, limit in enumerate(limits, 1) if draw < limit), 0) for draw in draws]


def num_sampled_segments(num_segments: int, sampling_ratio: float) -> int:
    """How many of `num_segments` a ratio in (0, 1] samples: at least one."""
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
    """For every segment, which of the sampled ones is nearest in time (the earlier one of two)."""
    times = torch.arange(num_segments, device=index.device)
    return (times[None, :, None] - index[:, None, :]).abs().argmin(2)
