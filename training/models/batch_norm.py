"""Batch normalisation when workers share a batch: whose statistics a layer normalises by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from preprocessing.errors import SettingsError
from training.workers.worker import is_alone

BatchNorm = Literal["synchronised", "frozen", "local"]
"""`synchronised`: by the statistics of the whole batch; `frozen`: by stored ones, which stay as they are; `local`: by
those of each worker's own clips."""
Channels = Float[Tensor, " channels"]

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SynchronisedBatchNorm(_BatchNorm):
    """Batch normalisation by the statistics of all workers' clips together, on processors.

    Every worker must call it equally often in training mode, with any number of clips, even none. In evaluation mode,
    with one worker and without a process group it is `nn.BatchNorm1d`, `2d` or `3d`, whose state dict it has.
    (`nn.SyncBatchNorm`, which does the same on GPUs, refuses tensors of processors.)
    """

    def forward(self, items: Tensor) -> Tensor:
        """Normalise; in training mode the running statistics follow."""
        if not self.training or is_alone():
            return super().forward(items)
        self._check_input_dim(items)
        moments = moments_of_all_workers(items.detach())
        self._follow(moments)
        output: Tensor = _Normalise.apply(items, self.weight, self.bias, moments, self.eps)
        return output

    def _follow(self, moments: Moments) -> None:
        """Move the running statistics, if there are any, as torch's layers do."""
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None, "it is tracked along with the statistics"
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(moments.mean.to(self.running_mean), share)
        self.running_var.lerp_(moments.unbiased_variance.to(self.running_var), share)

    def _check_input_dim(self, items: Tensor) -> None:
        if items.dim() < 2:
            raise ValueError(f"expected an input of at least 2 dimensions, got {items.dim()}")


class FrozenBatchNorm(_BatchNorm):
    """Batch normalisation by the stored statistics, in training mode too; its weight and bias still learn."""

    def forward(self, items: Tensor) -> Tensor:
        """Normalise; nothing of the statistics moves."""
        return functional.batch_norm(items, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


@dataclass(frozen=True)
class Moments:
    """Statistics of each channel over the clips, and the places in them, of all workers; in double precision."""

    mean: Channels
    variance: Channels
    """Mean squared distance from the mean."""
    count: Float[Tensor, ""]
    """Values that a channel has."""

    @property
    def unbiased_variance(self) -> Channels:
        """The variance with one degree of freedom less."""
        return self.variance * self.count / (self.count - 1).clamp_min(1)


def set_batch_norm(model: nn.Module, kind: BatchNorm, device: torch.device | str) -> None:
    """Make every batch normalisation in `model`, which will be trained on `device`, one of this kind.

    Parameters, statistics and their names in the state dict stay. Layers of other classes derived from torch's are left
    alone: nobody knows what else they do.

    Raises:
        SettingsError: if `frozen` meets a layer that stores no statistics.
    """
    if kind == "local":
        return
    if kind == "synchronised" and torch.device(device).type != "cpu":
        nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return
    for name, layer in model.named_modules():
        if type(layer) not in _PLAIN:
            continue
        if kind == "frozen" and layer.running_mean is None:
            raise SettingsError(
                f"batch_norm=frozen: '{name}' stores no statistics to normalise by; set batch_norm=synchronised"
            )
        # Only the way forward is another, so the layer keeps all it has: its hooks, and its place in several modules.
        layer.__class__ = SynchronisedBatchNorm if kind == "synchronised" else FrozenBatchNorm


@torch.no_grad()
def average_local_statistics(model: nn.Module) -> None:
    """Give all workers the mean of the statistics that each has of its own; every worker must call this."""
    if is_alone():
        return
    for layer in model.modules():
        if isinstance(layer, _BatchNorm) and not isinstance(
            layer, SynchronisedBatchNorm | FrozenBatchNorm | nn.SyncBatchNorm
        ):
            for statistic in (layer.running_mean, layer.running_var):
                if statistic is not None:
                    distributed.all_reduce(statistic)
                    statistic /= distributed.get_world_size()


def moments_of_all_workers(values: Float[Tensor, "items channels *places"]) -> Moments:
    """The moments over all workers' values; every worker must call this.

    Each worker's own are joined by the formula of Chan et al. 1979 ("Updating formulae and a pairwise algorithm for
    computing sample variances", Equation 2.1), so that a mean far from 0 costs no digits. All workers add up the same
    numbers in the same order, so they end with the same bits.
    """
    values = _in_full_precision(values)
    axes, num_channels = _all_but_channels(values), values.shape[1]
    count = values.numel() // num_channels
    rounded = values.sum(axes) / max(count, 1)
    centred = values - _per_channel(rounded, values)
    rest = centred.sum(axes).double() / max(count, 1)
    mean, squares = rounded.double() + rest, centred.square().sum(axes).double() - count * rest.square()
    own = torch.cat([mean, squares, mean.new_full((1,), count)])
    of_workers = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(of_workers, own)
    means, squared, counts = torch.split(torch.stack(of_workers), [num_channels, num_channels, 1], dim=1)
    total = counts.sum()
    joint = (counts * means).sum(0) / total
    variance = (squared + counts * (means - joint).square()).sum(0) / total
    return Moments(joint, variance, total)


class _Normalise(torch.autograd.Function):
    """(x - mean) / deviation x weight + bias, whose gradient knows that the moments are those of all workers' x.

    The gradients of weight and bias are this worker's part of them: a distributed wrapper adds up the parts.
    """

    @staticmethod
    def forward(
        ctx: Any, items: Tensor, weight: Tensor | None, bias: Tensor | None, moments: Moments, eps: int | float
    ) -> Tensor:
        values = _in_full_precision(items)
        mean, scale = moments.mean.to(values), (moments.variance + eps).rsqrt().to(values)
        ctx.save_for_backward(items, weight, mean, scale, moments.count)
        output = _standardised(values, mean, scale)
        if weight is not None:
            output = output * _per_channel(weight.to(values), values)
        if bias is not None:
            output = output + _per_channel(bias.to(values), values)
        return output.to(items.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        items, weight, mean, scale, count = ctx.saved_tensors
        gradient = _in_full_precision(gradient)
        standardised = _standardised(_in_full_precision(items), mean, scale)
        axes = _all_but_channels(gradient)
        of_bias, of_weight = gradient.sum(axes), (gradient * standardised).sum(axes)
        of_items = None
        if ctx.needs_input_grad[0]:
            slopes = scale if weight is None else scale * weight.to(scale)
            sums = torch.cat([of_bias, of_weight]).double()
            distributed.all_reduce(sums)
            along_mean, along_scale = (_per_channel(each, gradient) for each in (sums / count).to(scale).chunk(2))
            of_items = (gradient - along_mean - standardised * along_scale) * _per_channel(slopes, gradient)
            of_items = of_items.to(items.dtype)
        return (
            of_items,
            of_weight.to(weight.dtype) if ctx.needs_input_grad[1] else None,
            of_bias if ctx.needs_input_grad[2] else None,
            None,
            None,
        )


def _in_full_precision(values: Tensor) -> Tensor:
    return values.float() if values.dtype.itemsize < 4 else values


def _all_but_channels(values: Tensor) -> list[int]:
    return [0, *range(2, values.dim())]


def _per_channel(numbers: Tensor, values: Tensor) -> Tensor:
    """One number per channel, so shaped that it broadcasts over `values`."""
    return numbers.reshape(-1, *([1] * (values.dim() - 2)))


def _standardised(values: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return (values - _per_channel(mean, values)) * _per_channel(scale, values)
