"""Efficient crafting: perturb a sample of the segments and share each perturbation with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from jaxtyping import Int
from torch import Tensor, nn

from training.attacks import Attack
from training.attacks.noise import clip_generator
from training.batch import Batch, gather_segments
from training.threat import ThreatModel


def craft(
    model: nn.Module,
    batch: Batch,
    attack: Attack,
    threat: ThreatModel,
    generator: torch.Generator,
    *,
    sampling_ratio: float = 1.0,
) -> Batch:
    """Attack `sampling_ratio` of each clip's segments and give every segment the perturbation nearest in time.

    One set of segments serves both modalities, drawn evenly over the clip's length. The encoders run on the sampled
    segments only, so a ratio of 0.25 costs about a quarter. Ball, box and the threat's support hold for every segment:
    the sample is drawn from the segments that may be touched. With ratio 1 it is the attack itself.
    (arXiv:2502.11858, efficient adversarial perturbation.)

    `model` is the bare module, not its distributed wrapper: crafting must not synchronise gradients.
    """
    touchable = torch.tensor(threat.segments or range(batch.num_segments), device=batch.video.device)
    num_sampled = num_sampled_segments(len(touchable), sampling_ratio)
    if num_sampled == len(touchable):
        return attack(model, batch, threat, generator)
    index = touchable[stratified_segments(len(touchable), num_sampled, batch.keys, generator, batch.video.device)]
    clean = batch.select_segments(index)
    perturbed = attack(model, clean, threat.anywhere(), generator)
    nearest = nearest_sampled(index, batch.num_segments)
    return threat.project(
        batch.with_streams(
            batch.video + gather_segments(perturbed.video - clean.video, nearest),
            batch.audio + gather_segments(perturbed.audio - clean.audio, nearest),
        ),
        around=batch,
    )


def craft_mixed(
    model: nn.Module,
    batch: Batch,
    attacks: Sequence[Attack],
    shares: Sequence[float],
    threat: ThreatModel,
    generator: torch.Generator,
    *,
    sampling_ratio: float = 1.0,
) -> Batch:
    """`craft` with one attack per clip: the first of `attacks` takes what `shares`, those of the others, leave to it.

    Which one a clip draws is decided by its key and the generator's seed, another one in every epoch. With no shares it
    is `craft` with the first attack.
    """
    drawn = drawn_attacks(shares, batch.keys, generator)
    if not any(drawn):
        return craft(model, batch, attacks[0], threat, generator, sampling_ratio=sampling_ratio)
    video, audio = batch.video.clone(), batch.audio.clone()
    for number, attack in enumerate(attacks):
        rows = torch.tensor([row for row, each in enumerate(drawn) if each == number], device=video.device).long()
        if len(rows):
            crafted = craft(model, batch.select(rows), attack, threat, generator, sampling_ratio=sampling_ratio)
            video[rows], audio[rows] = crafted.video, crafted.audio
    return batch.with_streams(video, audio)


def drawn_attacks(shares: Sequence[float], keys: tuple[str, ...], generator: torch.Generator) -> list[int]:
    """The number of each clip's attack: from 1 with the probabilities `shares`, 0 with what is left of 1."""
    if not any(shares):
        return [0] * len(keys)
    limits = list(accumulate(shares))
    draws = [float(torch.rand((), generator=clip_generator(generator, key, "attack"))) for key in keys]
    return [next((number for number, limit in enumerate(limits, 1) if draw < limit), 0) for draw in draws]


def crafted_share(threat: ThreatModel, num_segments: int, sampling_ratio: float) -> float:
    """Share of a clip's segments that `craft` sends through the encoders."""
    num_touchable = len(threat.segments or range(num_segments))
    num_sampled = num_sampled_segments(num_touchable, sampling_ratio)
    return 1.0 if num_sampled == num_touchable else num_sampled / num_segments


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
