from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn

from preprocessing.storage.records import load_index
from tests.training.conftest import random_batch, random_starts
from tests.training.small_training import build, run_epoch, settings
from training.attacks import PGD
from training.batch import MODALITIES, Batch, Starts
from training.data import open_split, training_plan
from training.objectives import PGDAT
from training.warm_starts import WarmStarts, check_memory, restored, rounded, shapes_of
from training.worker import ALONE, Worker

WARM = PGDAT.model_validate({"attack": {"steps": 1}, "crafting": {"warm_start": True}})


def room_for(batch: Batch, **changes: int) -> WarmStarts:
    return WarmStarts(batch.keys, {name: tuple(batch.stream(name).shape[1:]) for name in MODALITIES}, **changes)


def known(warm_starts: WarmStarts, batch: Batch) -> Starts:
    starts = warm_starts.give(batch).starts
    assert starts
    return starts


@pytest.mark.parametrize("size", [1.0, 1e-3, 3.0])
def test_a_byte_is_off_by_at_most_half_a_level_of_its_clip(size: float) -> None:
    """In l2 the values of a clip are far below 1; levels are 1/127 of the clip's largest value."""
    values = torch.rand(5, 4, 50, generator=torch.Generator().manual_seed(0)) * 2 - 1
    values = values * size * torch.tensor([1.0, 0.5, 0.1, 1e-6, 0.0])[:, None, None]
    levels, largest = rounded(values)
    assert levels.dtype == torch.int8
    assert torch.equal(largest, values.abs().amax((1, 2)))
    error = (restored(levels, largest) - values).abs().amax((1, 2))
    assert (error <= largest / 254 * (1 + 1e-5)).all()
    assert error[4] == 0


def test_what_fills_the_ball_and_what_is_untouched_come_back_exactly() -> None:
    """FGSM leaves values at -1, 0 and 1 budgets."""
    values = torch.tensor([[[-1.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]])
    assert torch.equal(restored(*rounded(values)), values)


def test_ends_of_an_epoch_are_the_starts_of_the_next_and_of_no_other(batch: Batch) -> None:
    """Clip 2 is left out in the second epoch, so it has no start in the third."""
    warm_starts, others = room_for(batch), torch.tensor([0, 1, 3, 4, 5, 6])
    assert not known(warm_starts, batch).is_known.any()
    ends = random_starts(batch)
    warm_starts.keep(batch.keys, ends)
    assert not known(warm_starts, batch).is_known.any()
    warm_starts.end_epoch(ALONE)
    assert known(warm_starts, batch).is_known.all()
    for name in MODALITIES:
        torch.testing.assert_close(known(warm_starts, batch).stream(name), ends.stream(name), rtol=0, atol=1 / 254)
    warm_starts.keep(batch.select(others).keys, random_starts(batch).select(others))
    warm_starts.end_epoch(ALONE)
    found = known(warm_starts, batch)
    assert found.is_known.tolist() == [True, True, False, True, True, True, True]
    assert not found.video[2].any()


def test_a_start_does_not_depend_on_the_batch_that_it_was_kept_with(batch: Batch) -> None:
    ends, together, apart = random_starts(batch), room_for(batch), room_for(batch)
    together.keep(batch.keys, ends)
    for row in range(len(batch)):
        rows = torch.tensor([row])
        apart.keep(batch.select(rows).keys, ends.select(rows))
    assert same(together.state(), apart.state())


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_state_in_the_middle_of_an_epoch_is_loaded_as_it_was(batch: Batch) -> None:
    warm_starts, loaded, first, second = room_for(batch), room_for(batch), torch.tensor([0, 1]), torch.tensor([2, 3])
    warm_starts.keep(batch.select(first).keys, random_starts(batch).select(first))
    warm_starts.end_epoch(ALONE)
    warm_starts.keep(batch.select(second).keys, random_starts(batch).select(second))
    loaded.load_state(warm_starts.state())
    assert same(loaded.state(), warm_starts.state())
    for each in (warm_starts, loaded):
        each.end_epoch(ALONE)
    assert known(loaded, batch).is_known.tolist() == [False, False, True, True, False, False, False]
    assert same(loaded.state(), warm_starts.state())


def test_an_epoch_begins_where_the_one_before_has_ended(tiny_dataset: Path) -> None:
    """Without steps to speak of, clips stay where the first epoch has put them; the plan leaves out 4 of 24."""
    config = settings(tiny_dataset, objective=WARM, batch_size=10)
    learner, split = build(config), open_split(str(tiny_dataset), "train")
    assert learner.warm_starts
    run_epoch(config, learner, 0)
    taken = [row for batch in training_plan(24, batch_size=10, seed=config.seed, epoch=0) for row in batch]
    clips = split.read(range(24)).to("cpu")
    first = known(learner.warm_starts, clips)
    assert sorted(first.is_known.nonzero().flatten().tolist()) == sorted(taken)
    still = settings(
        tiny_dataset, objective=WARM.model_copy(update={"attack": PGD(steps=1, step_size=1e-9)}), batch_size=10
    )
    run_epoch(still, learner, 1)
    second = known(learner.warm_starts, clips)
    both = first.is_known & second.is_known
    assert both.any()
    torch.testing.assert_close(second.video[both], first.video[both], rtol=0, atol=2 / 254)


@pytest.mark.slow
def test_two_workers_know_of_each_other_what_one_would(tmp_path: Path) -> None:
    """Three clips and four, in exchanges of one clip each; bit for bit, and the first epoch's ends are forgotten."""
    spawn(_one_of_two, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    batch = random_batch(7)
    alone = room_for(batch)
    alone.keep(batch.keys, random_starts(batch))
    alone.end_epoch(ALONE)
    for rank in range(2):
        assert same(torch.load(tmp_path / f"{rank}.pt", weights_only=True), alone.state())


def _one_of_two(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    worker, batch = Worker(rank, 2, torch.device("cpu")), random_batch(7)
    warm_starts = room_for(batch, said_at_once=1)
    mine = [torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5, 6])]
    other_ends = random_starts(batch.with_streams(batch.audio[:, :, None].expand_as(batch.video), batch.audio))
    for epoch, ends in enumerate((other_ends, random_starts(batch))):
        rows = mine[(rank + epoch) % 2]  # clips change workers
        warm_starts.keep(batch.select(rows).keys, ends.select(rows))
        warm_starts.end_epoch(worker)
    torch.save(warm_starts.state(), Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def test_more_than_may_be_kept_is_refused_with_what_to_change(tiny_dataset: Path) -> None:
    """The limit counts what `WarmStarts` holds: a byte a value."""
    index = load_index(str(tiny_dataset))
    shapes = shapes_of(index.format, "logmel")
    clips = open_split(str(tiny_dataset), "train").read([0]).to("cpu")
    assert all(clips.stream(name).shape[1:] == shape for name, shape in shapes.items())
    check_memory(index, "logmel", limit_mib=1024)
    large = index.model_copy(update={"num_clips": {"train": 1_000_000}})
    with pytest.raises(ValueError, match=r"keeps [\d,]+ bytes of each of 1,000,000 clips, [\d,]+ MiB in every worker"):
        check_memory(large, "logmel", limit_mib=1024)
    with pytest.raises(ValueError, match=r"allowed: warm_start_mib=1024. Raise it, or set warm_start=false"):
        check_memory(large, "waveform", limit_mib=1024)
