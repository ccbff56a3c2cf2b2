"""The cost of an evaluation before it is begun: passes of every measurement, and their time from a batch measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from evaluation.planning.plan import Measurement, total_cost
from preprocessing.reporting.progress import duration
from preprocessing.reporting.table import FoldedTable
from training.attacks.base import frozen
from training.attacks.engine.gradients import detached_inputs
from training.batch import MODALITIES, Batch
from training.passes import Passes

NUM_TIMED = 3
"""Passes of each kind that are timed, after one that is not; the fastest counts."""


@dataclass(frozen=True)
class Speed:
    """Seconds that one task takes for one clip."""

    forward: float
    backward: float
    device: str
    """Name of the processor or GPU."""

    def seconds(self, cost: Passes) -> float:
        """The time of so many passes over one clip."""
        return self.forward * cost.forward + self.backward * cost.backward


def speed_of(model: nn.Module, batch: Batch, *, device: str) -> Speed:
    """Time passes over a batch, on the device that model and batch are on."""
    with frozen(model):
        with torch.no_grad():
            forward = _fastest(lambda: model(batch.video, batch.audio).logits.sum().item())
        both = _fastest(lambda: _forward_and_backward(model, batch))
    return Speed(forward / len(batch), max(both - forward, 0.0) / len(batch), device)


def _forward_and_backward(model: nn.Module, batch: Batch) -> None:
    clips, streams = detached_inputs(batch, MODALITIES)
    gradients = torch.autograd.grad(model(clips.video, clips.audio).logits.sum(), streams, allow_unused=True)
    for gradient in gradients:
        if gradient is not None:
            gradient.sum().item()  # a GPU is waited for


def _fastest(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(NUM_TIMED):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


@dataclass(frozen=True)
class Estimate:
    """The cost of an evaluation, at most: attacks leave out clips that they have fooled."""

    measurements: tuple[Measurement, ...]
    num_clips: int
    num_tasks: int
    """Tasks that work at the same time, each with as many clips."""
    speed: Speed
    left_out: tuple[str, ...] = ()
    """Attacks of the list that cannot be run on the model, each with its reason."""

    def seconds(self, cost: Passes) -> float:
        """Wall-clock seconds of so many passes over every clip."""
        return self.speed.seconds(cost) * self.num_clips / self.num_tasks

    @property
    def total(self) -> float:
        """Wall-clock seconds of all measurements, at most."""
        return self.seconds(total_cost(self.measurements))

    def table(self) -> Table:
        """The cost of each measurement, for the console."""
        table = FoldedTable(
            title=f"{self.num_clips} clips, {self.num_tasks} at a time, on {self.speed.device}: at most",
            title_justify="left",
        )
        for heading in ("attack", "threat model"):
            table.add_column(heading)
        for heading in ("forward", "backward", "time"):
            table.add_column(heading, justify="right")
        for one in self.measurements:
            rest = "" if one.leaves_out is None else " (on the clips that are left)"
            cells = f"{one.cost.forward:g}", f"{one.cost.backward:g}", duration(self.seconds(one.cost))
            table.add_row(one.label + rest, str(one.threat), *cells)
        table.add_section()
        total = total_cost(self.measurements)
        table.add_row("all", "", f"{total.forward:g}", f"{total.backward:g}", duration(self.total))
        if self.left_out:
            table.caption = "\n".join(f"left out: {reason}" for reason in self.left_out)
        return table


def print_estimate(estimate: Estimate) -> None:
    """Print the table to the console."""
    Console().print(estimate.table())
