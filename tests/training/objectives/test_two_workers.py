"""Every objective as two real processes train it, each with its half of the batch."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from preprocessing.schema import ClipFormat
from tests.training.conftest import NUM_CLASSES, random_batch
from tests.training.objectives.table import ROWS, double, gradients, named, run
from training.models import Classifier, ModelConfig
from training.objectives import Mixup


def fresh_model() -> Classifier:
    torch.manual_seed(0)
    config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16)
    clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
    return config.build(clip_format, NUM_CLASSES).double()


def taught(model: nn.Module, rows: range) -> list[dict[str, torch.Tensor]]:
    """The gradients that each objective leaves at the weights."""
    found = []
    for objective in ROWS:
        model.zero_grad()
        run(objective, model, double(random_batch(6)).select(torch.tensor(rows)))
        found.append({name.removeprefix("module."): gradient for name, gradient in gradients(model).items()})
    return found


def work(rank: int, folder: Path) -> None:
    """One of two workers."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    found = taught(DistributedDataParallel(fresh_model()), range(3 * rank, 3 * rank + 3))
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_workers_teach_the_weights_what_one_would(tmp_path: Path) -> None:
    """Each of three clips; both end with the same gradients, which are those of six clips in one process.

    Mixup is the exception that it says it is: partners come from a worker's own clips.
    """
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(rank, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    with torch.random.fork_rng():
        alone = taught(fresh_model(), range(6))
    for objective, mine, others, whole in zip(ROWS, first, second, alone, strict=True):
        for name, gradient in whole.items():
            assert torch.equal(mine[name], others[name]), f"{named(objective)}: {name}"
            if not isinstance(objective, Mixup):
                torch.testing.assert_close(
                    mine[name], gradient, rtol=1e-6, atol=1e-9, msg=f"{named(objective)}: {name}"
                )
