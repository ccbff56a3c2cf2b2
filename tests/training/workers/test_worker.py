from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch
from torch import distributed

from training.workers.worker import ALONE, Worker


def test_a_process_by_itself_gathers_its_own_value() -> None:
    assert ALONE.all_gather("mine") == ["mine"]


def work(rank: int, folder: Path) -> None:
    """One of two workers."""
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    worker = Worker(rank, 2, torch.device("cpu"))
    torch.save(worker.all_gather({"rank": rank, "problem": "x" * rank}), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_every_worker_gathers_the_values_of_all_in_order_of_rank(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(rank, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    expected = [{"rank": 0, "problem": ""}, {"rank": 1, "problem": "x"}]
    assert [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)] == [expected] * 2
