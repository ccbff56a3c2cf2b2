"""Numbers that are summed over batches and workers before anybody looks at them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, distributed


class Means:
    """Weighted means by name, exact over all workers: sums and weights are added once, at the end."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._weight = 0.0

    def add(self, values: Mapping[str, Tensor], *, weight: int) -> None:
        """Add a batch's mean values, which stand for `weight` clips; the names are the same every time."""
        for name, value in values.items():
            scaled = value.detach().double() * weight
            self._sums[name] = self._sums[name] + scaled if name in self._sums else scaled
        self._weight += weight

    def reduce(self, names: tuple[str, ...], device: torch.device) -> dict[str, float]:
        """The means of `names` over all workers; every worker must call this, also one that has seen nothing."""
        zero = torch.zeros((), dtype=torch.float64, device=device)
        totals = torch.stack([*(self._sums.get(name, zero).to(device) for name in names), zero + self._weight])
        if distributed.is_initialized():
            distributed.all_reduce(totals)
        return dict(zip(names, (totals[:-1] / totals[-1].clamp_min(1.0)).tolist(), strict=True))
