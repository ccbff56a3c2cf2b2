"""From shards to batches: planned clip by clip, so that ranks never differ in length or order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice

import numpy as np
import torch
import webdataset
from jaxtyping import Int, Shaped, UInt8
from numpy.typing import NDArray
from torch import Tensor

from preprocessing.errors import DataError, SettingsError
from preprocessing.schema import DatasetIndex, Split, StoredKey
from preprocessing.seeds import seed_of
from preprocessing.storage.records import load_index, load_shard_record
from preprocessing.storage.store import Store
from preprocessing.storage.stored_sample import SampleError, StoredSample, read_sample
from training.batch import Batch
from training.threat import AudioDomain

_REBUILD = "`python -m pipeline verify {}` says by which command it is built again"

MIB = 2**20

FULL_SCALE = 32768.0
"""Divisor of stored 16-bit samples: they become numbers in [-1, 1)."""


class ShardError(DataError):
    """A shard is damaged, or is not what its record says."""


@dataclass(frozen=True)
class StoredBatch:
    """Clips as they are stored: a quarter of a `Batch`'s bytes, so they are made floating point on their device."""

    frames: UInt8[Tensor, "batch segments height width 3"]
    audio: Shaped[Tensor, "batch segments *patch"]
    """Log-mel patches in half precision, `[mels, steps]`, or the waveform in 16 bit, `[samples]`."""
    labels: Int[Tensor, " batch"]
    keys: tuple[str, ...]

    def to(self, device: torch.device | str) -> Batch:
        """The clips in floating point on `device`: frames and patches in [0, 1], waveforms in [-1, 1)."""
        frames = self.frames.to(device).permute(0, 1, 4, 2, 3)
        video = torch.empty(frames.shape, device=device)
        torch.div(frames, 255.0, out=video)
        audio = self.audio.to(device).float()
        if self.audio.dtype == torch.int16:
            audio = audio / FULL_SCALE
        return Batch(video, audio, self.labels.to(device), self.keys)


@dataclass(frozen=True)
class StoredSplit:
    """The clips of one split of a stored data set, read in any order and from any thread."""

    root: str
    index: DatasetIndex
    split: Split
    audio_domain: AudioDomain = "logmel"
    """`logmel`: clips have their stored log-mel patches; `waveform`: the samples that those were made of."""
    cache_bytes: int = 0
    """Most decoded bytes kept in memory: a small data set is then decoded once and not once per epoch."""
    _cache: dict[int, tuple[NDArray[np.uint8], NDArray[np.generic]]] = field(default_factory=dict, repr=False)

    @cached_property
    def store(self) -> Store:
        """The data set's files; a read that fails is tried again."""
        return Store(self.root)

    @cached_property
    def clips(self) -> tuple[tuple[str, StoredKey], ...]:
        """Shard of every clip, and its place in it, in stored order.

        Raises:
            ShardError: if the records have other numbers of clips than `dataset.json`, or classes that it has not.
        """
        with ThreadPoolExecutor(8) as pool:  # small files, perhaps far away
            records = list(pool.map(partial(load_shard_record, self.root), self.shards))
        clips = tuple((record.name, clip) for record in records for clip in record.samples)
        if len(clips) != self.index.num_clips[self.split]:
            raise ShardError(
                f"split '{self.split}' of '{self.root}' has {len(clips):,} clips by its shards' records, dataset.json "
                f"says {self.index.num_clips[self.split]:,}. {_REBUILD.format(self.root)}"
            )
        if unknown := next((each for _, each in clips if each.label >= len(self.index.classes)), None):
            raise ShardError(
                f"clip '{unknown.key}' of '{self.root}' has label {unknown.label}, dataset.json names "
                f"{len(self.index.classes)} classes. {_REBUILD.format(self.root)}"
            )
        return clips

    @cached_property
    def shards(self) -> dict[str, str]:
        """SHA-256 of every shard by name, in stored order."""
        return {shard.name: shard.sha256 for shard in self.index.shards.get(self.split, ())}

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, positions: Sequence[int]) -> StoredBatch:
        """The clips at these positions in stored order.

        Raises:
            ShardError: if a shard does not hold a clip where its record says.
        """
        form = self.index.format
        frames = np.empty((len(positions), form.num_segments, form.frame_size, form.frame_size, 3), np.uint8)
        audio: NDArray[np.generic]
        if self.audio_domain == "logmel":
            audio = np.empty((len(positions), form.num_segments, form.num_mels, form.steps), np.float16)
        else:
            audio = np.empty((len(positions), form.num_segments, form.segment_samples), np.int16)
        for position, frame_slot, audio_slot in zip(positions, frames, audio, strict=True):
            self._read_clip(position, frame_slot, audio_slot)
        clips = [self.clips[position][1] for position in positions]
        return StoredBatch(
            frames=torch.from_numpy(frames),
            audio=torch.from_numpy(audio),
            labels=torch.tensor([clip.label for clip in clips]),
            keys=tuple(clip.key for clip in clips),
        )

    def start_seconds(self, position: int) -> float:
        """Start of a clip's first segment, in seconds on the clock of its video.

        Raises:
            ShardError: if its shard does not hold it where its record says.
        """
        with self._sample(position) as sample:
            return sample.record().start_seconds

    def verify(self, shards: Iterable[str]) -> None:
        """Compare the SHA-256 of these shards with what `dataset.json` says.

        Raises:
            ShardError: naming the first shard that differs.
        """
        for shard in shards:
            found = self.store.sha256(shard)
            if found != self.shards[shard]:
                problem = f"is damaged: its SHA-256 is {found}, not {self.shards[shard]}"
                raise ShardError(f"'{self.store.url(shard)}' {problem}. {_REBUILD.format(self.root)}")

    def _read_clip(self, position: int, frames: NDArray[np.uint8], audio: NDArray[np.generic]) -> None:
        """Fill the slots with one clip, `[segments, height, width, 3]` and `[segments, ...]`."""
        if position in self._cache:
            frames[:], audio[:] = self._cache[position]
            return
        with self._sample(position) as sample:
            sample.decode_frames(into=frames)
            audio[:] = sample.logmel() if self.audio_domain == "logmel" else sample.waveform().reshape(audio.shape)
        if (len(self._cache) + 1) * (frames.nbytes + audio.nbytes) <= self.cache_bytes:
            self._cache[position] = frames.copy(), audio.copy()

    @contextmanager
    def _sample(self, position: int) -> Iterator[StoredSample]:
        """A stored clip; damage that is found in it is told with its place and its remedy."""
        shard, clip = self.clips[position]
        try:
            yield read_sample(self.store, shard, clip, self.index.format)
        except SampleError as error:
            where = f"clip '{clip.key}' in '{self.store.url(shard)}'"
            raise ShardError(f"{where}: {error.problem}. {_REBUILD.format(self.root)}") from error


def open_split(root: str, split: Split, *, audio_domain: AudioDomain = "logmel", cache_bytes: int = 0) -> StoredSplit:
    """The clips of `split` in the data set at `root`, their audio as `audio_domain` says.

    Raises:
        ValueError: if the data set is not finished or the split is empty.
    """
    index = load_index(root)
    if not index.num_clips.get(split):
        raise DataError(f"split '{split}' of '{root}' has no clips")
    return StoredSplit(root=root, index=index, split=split, audio_domain=audio_domain, cache_bytes=cache_bytes)


def training_plan(num_clips: int, *, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The global batches of one epoch: a permutation of all clips, cut; the last incomplete batch is left out.

    Raises:
        ValueError: if there are fewer clips than one batch holds.
    """
    refuse_few(num_clips, batch_size=batch_size)
    order = torch.randperm(num_clips, generator=torch.Generator().manual_seed(seed_of(seed, epoch))).tolist()
    return [order[start : start + batch_size] for start in range(0, num_clips - batch_size + 1, batch_size)]


def refuse_few(num_clips: int, *, batch_size: int) -> None:
    """Refuse training clips that do not fill a batch.

    Raises:
        SettingsError: if they do not.
    """
    if num_clips < batch_size:
        raise SettingsError(f"batch_size={batch_size}, but there are only {num_clips} training clips; lower it")


def portion(clips: Sequence[int], *, rank: int, world_size: int) -> Sequence[int]:
    """One rank's run of a batch's clips; where they do not divide, the first ranks have one more than the others."""
    size, num_longer = divmod(len(clips), world_size)
    start = rank * size + min(rank, num_longer)
    return clips[start : start + size + (rank < num_longer)]


def train_batches(
    stored: StoredSplit,
    *,
    epoch: int,
    seed: int,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    first: int = 0,
    device: torch.device | str = "cpu",
    threads: int = 0,
) -> Iterator[Batch]:
    """This rank's portion of every global batch of `epoch`; the same clips in the same order for any number of ranks.

    Args:
        stored: the training split.
        epoch: number of the epoch, from 0; with `seed` it decides the order.
        seed: seed of the order.
        batch_size: clips of all ranks together.
        rank: number of the portion, from 0.
        world_size: number of portions.
        first: the batch to begin with, from 0; those before it are not read.
        device: where the batches are wanted.
        threads: how many batches are read and decoded ahead, each by its own thread; 0 = none.
    """
    plan = training_plan(len(stored), batch_size=batch_size, seed=seed, epoch=epoch)
    mine = [portion(batch, rank=rank, world_size=world_size) for batch in plan[first:]]
    return (clips.to(device) for clips in stored_batches(stored, mine, threads=threads))


def evaluation_batches(
    root: str,
    split: Split,
    *,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    limit: int | None = None,
    audio_domain: AudioDomain = "logmel",
    stored: StoredSplit | None = None,
    device: torch.device | str = "cpu",
    threads: int = 0,
) -> Iterator[Batch]:
    """This rank's run of whole batches over the first `limit` clips in stored order, each clip exactly once.

    The batches are the same for any number of ranks, and ranks may have none. `stored` is the split if it is open and
    verified already, in the domain it was opened with; otherwise it is opened in `audio_domain`, and the shards of this
    rank's run are verified before its first batch.
    """
    split_is_new = stored is None
    stored = stored or open_split(root, split, audio_domain=audio_domain)
    count = min(len(stored), limit or len(stored))
    plan = [range(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    portion = portion_of(len(plan), rank=rank, world_size=world_size)
    mine = plan[portion.start : portion.stop]
    if split_is_new:
        stored.verify(dict.fromkeys(stored.clips[position][0] for batch in mine for position in batch))
    return (clips.to(device) for clips in stored_batches(stored, mine, threads=threads))


def portion_of(num_batches: int, *, rank: int, world_size: int) -> range:
    """The numbers of the batches that a rank takes in `evaluation_batches`: a run of them, or none."""
    return range(rank * num_batches // world_size, (rank + 1) * num_batches // world_size)


def stored_batches(stored: StoredSplit, plan: Iterable[Sequence[int]], *, threads: int = 0) -> Iterator[StoredBatch]:
    """A webdataset pipeline whose source is the plan: positions in, clips out, in order."""
    return iter(webdataset.DataPipeline(partial(iter, list(plan)), partial(_read_ahead, stored, threads=threads)))


def _read_ahead(stored: StoredSplit, plan: Iterable[Sequence[int]], *, threads: int) -> Iterator[StoredBatch]:
    if not threads:
        yield from map(stored.read, plan)
        return
    upcoming = iter(plan)
    with ThreadPoolExecutor(threads) as pool:
        waiting: list[Future[StoredBatch]] = [pool.submit(stored.read, each) for each in islice(upcoming, threads + 1)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(stored.read, each) for each in islice(upcoming, 1)]
        finally:
            pool.shutdown(cancel_futures=True)
