"""Exchanges between workers while they compute a loss; a process by itself exchanges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from jaxtyping import Int
from torch import Tensor, distributed

from training.batch import Batch
from training.workers.worker import is_alone


def mean_over_clips(sums: Sequence[Tensor], *, num_clips: int) -> list[Tensor]:
    """Sums over a worker's clips -> their means over the clips of all workers; every worker must call this."""
    flat = torch.cat([*(each.flatten() for each in sums), sums[0].new_full((1,), num_clips)])
    if not is_alone():
        distributed.all_reduce(flat)
    means = torch.split(flat[:-1] / flat[-1], [each.numel() for each in sums])
    return [mean.view_as(each) for mean, each in zip(means, sums, strict=True)]


def keys_of_all(keys: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The clips of every worker, by rank; every worker must call this."""
    if is_alone():
        return [keys]
    everything = [keys] * distributed.get_world_size()
    distributed.all_gather_object(everything, keys)
    return everything


def clips_of_others(batch: Batch, wanted: Sequence[Sequence[int]]) -> Batch:
    """The clips that this worker wants, from whichever worker has them; every worker must call this.

    Args:
        batch: this worker's clips.
        wanted: for every worker, by rank, the places of the clips that it wants, as many as it has, in the sequence of
            all workers' clips by rank.
    """
    if is_alone():
        return batch.select(torch.tensor(wanted[0], device=batch.labels.device))
    rank = distributed.get_rank()
    ends = list(accumulate(map(len, wanted)))
    first = ends[rank] - len(wanted[rank])
    mine = range(first, ends[rank])
    sent = [[place - first for place in places if place in mine] for places in wanted]
    owners = [next(owner for owner, end in enumerate(ends) if place < end) for place in wanted[rank]]
    order = sorted(range(len(owners)), key=owners.__getitem__)  # stable: as the owners send them
    arrival = torch.tensor(order, device=batch.labels.device)
    rows = torch.tensor([row for rows in sent for row in rows], dtype=torch.long, device=batch.labels.device)
    sizes = [owners.count(owner) for owner in range(len(wanted))], [len(rows) for rows in sent]
    video, audio, labels = (
        _exchanged(each[rows], arrival, *sizes) for each in (batch.video, batch.audio, batch.labels)
    )
    keys = [key for every in keys_of_all(batch.keys) for key in every]
    return Batch(video, audio, labels, tuple(keys[place] for place in wanted[rank]))


def _exchanged(rows: Tensor, arrival: Int[Tensor, " wanted"], received: list[int], sent: list[int]) -> Tensor:
    """Rows by their receivers -> those that arrive, each at the place where it is wanted."""
    arrived = rows.new_empty(len(arrival), *rows.shape[1:])
    distributed.all_to_all_single(arrived, rows.contiguous(), received, sent)
    found = torch.empty_like(arrived)
    found[arrival] = arrived
    return found
