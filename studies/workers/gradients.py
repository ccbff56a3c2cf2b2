"""The gradient of several workers beside that of one, for each kind of batch normalisation.

The default classifier, freshly initialised, sees 16 clips of noise: 4 segments of 32-pixel frames and 32 x 32 patches.
The workers are processes that exchange by gloo; the clips are the same for any number of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from preprocessing.schema import ClipFormat
from training.batch import Batch
from training.config import TrainConfig
from training.data import portion
from training.models.batch_norm import BatchNorm
from training.workers.worker import Worker

CLIPS, SEGMENTS, SIZE, CLASSES = 16, 4, 32, 10
KINDS = tuple(each for each in get_args(BatchNorm) if each != "frozen")
"""Frozen statistics are of pretrained weights, and these are fresh."""


def batch() -> Batch:
    """The clips."""
    source = torch.Generator().manual_seed(0)
    video = torch.rand(CLIPS, SEGMENTS, 3, SIZE, SIZE, generator=source)
    audio = torch.rand(CLIPS, SEGMENTS, SIZE, SIZE, generator=source)
    labels = torch.randint(CLASSES, (CLIPS,), generator=source)
    return Batch(video, audio, labels, tuple(f"clip {number}" for number in range(CLIPS)))


def gradient(rank: int, num_workers: int, kind: BatchNorm, folder: str) -> None:
    """Write what one of the workers holds after the exchange of gradients; called in a process of its own."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting-{num_workers}-{kind}"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=num_workers)
    config = TrainConfig(data="unused", output="unused", batch_size=CLIPS, workers=num_workers, batch_norm=kind)
    torch.manual_seed(config.seed)
    clip_format = ClipFormat(num_segments=SEGMENTS, segment_seconds=SIZE / 100, frame_size=SIZE, num_mels=SIZE)
    model = DistributedDataParallel(config.build_model(clip_format, CLASSES).train(), forward_sync_buffers=False)
    own = portion(range(CLIPS), rank=rank, world_size=num_workers)
    clips = batch()
    rows = torch.tensor(list(own))
    logits = model(clips.video[rows], clips.audio[rows]).logits
    loss = functional.cross_entropy(logits, clips.labels[rows])
    factor = Worker(rank, num_workers, torch.device("cpu")).loss_factor(len(rows), of=CLIPS)
    torch.autograd.backward(loss * factor)
    if rank == 0:
        found = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
        torch.save(torch.cat(found), result(folder, num_workers, kind))
    distributed.destroy_process_group()


def result(folder: str, num_workers: int, kind: BatchNorm) -> Path:
    """The file of a gradient."""
    return Path(folder) / f"{num_workers}-{kind}.pt"


def print_table(numbers: Sequence[int]) -> None:
    """Print cosine and length of the gradient of so many workers, against one's."""
    table = Table("workers", *(f"{what}, {kind}" for kind in KINDS for what in ("cosine", "length")))
    with tempfile.TemporaryDirectory() as folder:
        for num_workers in (1, *numbers):
            for kind in KINDS:
                spawn(gradient, (num_workers, kind, folder), nprocs=num_workers)  # type: ignore[no-untyped-call]
            if num_workers == 1:
                continue
            cells: list[str] = []
            for kind in KINDS:
                one: Tensor = torch.load(result(folder, 1, kind), weights_only=True)
                several: Tensor = torch.load(result(folder, num_workers, kind), weights_only=True)
                cosine = functional.cosine_similarity(one.double(), several.double(), dim=0)
                cells += [f"{float(cosine):.6f}", f"{float(several.norm() / one.norm()):.4f}"]
            table.add_row(str(num_workers), *cells)
    Console().print(table)
