"""What holds for every objective when workers train together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from tests.training.objectives.table import (
    ROWS,
    double,
    every_objective,
    gradients,
    named,
    run,
)
from training.batch import Batch
from training.models import Classifier
from training.objectives import (
    AWP,
    Mixup,
    Objective,
)


@pytest.mark.parametrize("objective", [row for row in ROWS if not isinstance(row, AWP | Mixup)], ids=named)
def test_two_halves_of_a_batch_teach_what_the_whole_does(objective: Objective, model: Classifier, batch: Batch) -> None:
    """The mean of the gradients of two workers is the gradient of one.

    AWP and Mixup need the workers' exchange for it, which `test_workers.py` has.
    """
    model.double().train()
    found = []
    for parts in ([range(6)], [range(3), range(3, 6)]):
        model.zero_grad()
        for rows in parts:
            run(objective, model, double(batch).select(torch.tensor(rows)))
        found.append({name: gradient / len(parts) for name, gradient in gradients(model).items()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-6, atol=1e-9)


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """A group of one process: everything of distributed training but a second worker."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@every_objective
def test_a_distributed_wrapper_runs_once_per_loss_and_changes_nothing(
    objective: Objective, model: Classifier, batch: Batch, process_group: None
) -> None:
    model.train()
    run(objective, model, batch)
    expected = {name: gradient.clone() for name, gradient in gradients(model).items()}
    model.zero_grad()
    wrapped = DistributedDataParallel(model)
    calls: Counter[str] = Counter()
    wrapped.register_forward_hook(lambda *_: calls.update(["forward"]))

    def exchange(bucket: Any) -> torch.futures.Future[Tensor]:
        calls.update(["exchange"])
        done: torch.futures.Future[Tensor] = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    wrapped.register_comm_hook(None, lambda _, bucket: exchange(bucket))
    run(objective, wrapped, batch)
    assert calls["forward"] == objective.updates
    assert objective.updates <= calls["exchange"] <= 2 * objective.updates  # the first backward may have other buckets
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name])
