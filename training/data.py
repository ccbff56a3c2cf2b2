"""From shards to batches: planned sample by sample, so that ranks never differ in length or order."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fsspec
import numpy as np
import torch
import webdataset
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from torchvision.io import ImageReadMode, decode_jpeg
from webdataset.tariterators import group_by_keys, tar_file_iterator

from preprocessing.schema import DatasetIndex, Split, StoredKey, join, load_index, load_shard_record
from training.batch import Batch


class ShardError(ValueError):
    """A shard is not what its record says."""


@dataclass(frozen=True)
class Sample:
    """A decoded clip as it is stored: bytes for frames, half precision for log-mel patches."""

    key: str
    label: int
    frames: UInt8[Tensor, "segments 3 height width"]
    logmel: Float[NDArray[np.float16], "segments mels steps"]


@dataclass(frozen=True)
class StoredSplit:
    """All samples of one split and where they lie. Reads any of them in any order.

    `cache_bytes` decoded bytes are kept in memory, so that a small data set is decoded once and not once per epoch.
    """

    root: str
    index: DatasetIndex
    split: Split
    cache_bytes: int = 0

    @cached_property
    def samples(self) -> tuple[tuple[str, StoredKey], ...]:
        """Shard and place of every sample, in stored order."""
        records = [load_shard_record(self.root, shard.name) for shard in self.index.shards.get(self.split, ())]
        return tuple((record.name, place) for record in records for place in record.samples)

    @cached_property
    def _cache(self) -> dict[int, Sample]:
        return {}

    @cached_property
    def _files(self) -> dict[str, Any]:
        return {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getstate__(self) -> dict[str, Any]:
        """Travel to other processes without open files and cached samples."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_cache", "_files")}

    def read(self, position: int) -> Sample:
        """The sample at `position` in stored order.

        Raises:
            ShardError: if the shard does not hold it there.
        """
        if position in self._cache:
            return self._cache[position]
        shard, place = self.samples[position]
        fragment = io.BytesIO(self._read_bytes(shard, place))
        # A sample's byte range is a piece of tar by itself; webdataset groups its members under their key.
        files = ({**file, "__url__": shard} for file in tar_file_iterator(fragment))
        members = next(iter(group_by_keys(files)), None)
        if members is None or members["__key__"] != place.key:
            found = members["__key__"] if members else "nothing"
            raise ShardError(f"'{join(self.root, shard)}' holds {found} where '{place.key}' should be; {_REBUILD}")
        sample = decode_sample(members, label=place.label)
        if self.cache_bytes > (len(self._cache) + 1) * (sample.frames.nbytes + sample.logmel.nbytes):
            self._cache[position] = sample
        return sample

    def verify(self, part: int = 0, num_parts: int = 1) -> None:
        """Compare the SHA-256 of every `num_parts`-th shard, from number `part`, with `dataset.json`.

        Raises:
            ShardError: naming the first shard that differs.
        """
        for shard in self.index.shards.get(self.split, ())[part::num_parts]:
            path = join(self.root, shard.name)
            with fsspec.open(path) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != shard.sha256:
                raise ShardError(f"'{path}' has SHA-256 {found}, its record says {shard.sha256}: damaged. {_REBUILD}")

    def _read_bytes(self, shard: str, place: StoredKey) -> bytes:
        if shard not in self._files:
            self._files[shard] = fsspec.open(join(self.root, shard)).open()
        file = self._files[shard]
        file.seek(place.offset)
        data: bytes = file.read(place.length)
        return data


_REBUILD = "Delete the shard and its .json and run `python -m pipeline preprocess` with the same settings again"


def open_split(root: str, split: Split, *, cache_bytes: int = 0) -> StoredSplit:
    """The samples of `split` in the data set at `root`.

    Raises:
        ValueError: if the data set is not finished or the split is empty.
    """
    index = load_index(root)
    if not index.num_clips.get(split):
        raise ValueError(f"split '{split}' of '{root}' has no clips")
    return StoredSplit(root=root, index=index, split=split, cache_bytes=cache_bytes)


def decode_sample(members: dict[str, Any], *, label: int) -> Sample:
    """Decode the stored members of one clip."""
    names = sorted(name for name in members if name.startswith("frame_"))
    frames = [
        decode_jpeg(torch.frombuffer(bytearray(members[name]), dtype=torch.uint8), mode=ImageReadMode.RGB)
        for name in names
    ]
    logmel = np.load(io.BytesIO(members["logmel.npy"]), allow_pickle=False)
    return Sample(key=members["__key__"], label=label, frames=torch.stack(frames), logmel=logmel)


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples and bring them to floating point in [0, 1]."""
    return Batch(
        video=torch.stack([sample.frames for sample in samples]).float().div_(255.0),
        audio=torch.from_numpy(np.stack([sample.logmel for sample in samples])).float(),
        labels=torch.tensor([sample.label for sample in samples]),
        keys=tuple(sample.key for sample in samples),
    )


def training_plan(num_samples: int, *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The global batches of one epoch: a permutation of all samples, cut; the last incomplete batch is left out.

    Raises:
        ValueError: if there are fewer samples than one batch holds.
    """
    if num_samples < batch_size:
        raise ValueError(f"batch_size={batch_size}, but there are only {num_samples} training clips; lower it")
    mixed = int.from_bytes(hashlib.sha256(f"{seed}/{epoch}".encode()).digest()[:8], "little") >> 1
    order = torch.randperm(num_samples, generator=torch.Generator().manual_seed(mixed)).tolist()
    return [order[start : start + batch_size] for start in range(0, num_samples - batch_size + 1, batch_size)]


def train_batches(
    stored: StoredSplit, *, epoch: int, seed: int, batch_size: int, rank: int, world_size: int, loader_workers: int = 0
) -> Iterator[Batch]:
    """This rank's share of every global batch of `epoch`; the same clips in the same order for any number of ranks.

    Args:
        stored: the training split.
        epoch: number of the epoch, from 0; with `seed` it decides the order.
        seed: seed of the order.
        batch_size: clips of all ranks together; a multiple of `world_size`.
        rank: which share.
        world_size: how many shares.
        loader_workers: processes that read ahead; 0 reads in this one.
    """
    share = batch_size // world_size
    plan = [
        batch[rank * share : (rank + 1) * share]
        for batch in training_plan(len(stored), batch_size=batch_size, seed=seed, epoch=epoch)
    ]
    return _batches(stored, plan, loader_workers)


def evaluation_batches(
    root: str,
    split: Split,
    *,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    limit: int | None = None,
    stored: StoredSplit | None = None,
) -> Iterator[Batch]:
    """This rank's run of whole batches over the first `limit` clips in stored order, each clip exactly once.

    The batches are the same for any number of ranks, and ranks may have none. `stored` is the split if it is open
    already; otherwise its shards are verified before the first batch.
    """
    if stored is None:
        stored = open_split(root, split)
        stored.verify(rank, world_size)
    count = min(len(stored), limit or len(stored))
    plan = [list(range(start, min(start + batch_size, count))) for start in range(0, count, batch_size)]
    mine = plan[rank * len(plan) // world_size : (rank + 1) * len(plan) // world_size]
    return _batches(stored, mine, 0)


class PlannedSamples(IterableDataset[Sample]):
    """Reads planned batches sample by sample; with several loader processes, each reads every n-th batch."""

    def __init__(self, stored: StoredSplit, plan: Sequence[Sequence[int]]) -> None:
        self.stored = stored
        self.plan = plan

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        start, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for batch in self.plan[start::step]:
            for position in batch:
                yield self.stored.read(position)


def _batches(stored: StoredSplit, plan: Sequence[Sequence[int]], loader_workers: int) -> Iterator[Batch]:
    """A webdataset pipeline whose source is the plan: read, then stack `batch` by `batch`."""
    if not plan:
        return iter(())
    collation: Callable[[Sequence[Sample]], Batch] = collate
    pipeline = webdataset.DataPipeline(
        PlannedSamples(stored, plan), webdataset.batched(len(plan[0]), collation_fn=collation, partial=True)
    )
    return iter(DataLoader(pipeline, batch_size=None, num_workers=loader_workers))
