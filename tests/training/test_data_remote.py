"""Batches read from a store that is no folder, and that fails now and then."""

from __future__ import annotations

from pathlib import Path

import fsspec
import torch

from preprocessing.storage.atomic_file import write_file
from preprocessing.storage.store import Store
from tests.s3_server import S3Server
from tests.training.reading import keys_of, read_epoch
from training.data import evaluation_batches, open_split, train_batches


def test_a_url_of_another_file_system_works(tiny_dataset: Path) -> None:
    """fsspec's memory file system stands in for an object store."""
    memory = fsspec.filesystem("memory")
    memory.put(str(tiny_dataset), "/tiny_dataset", recursive=True)
    there = list(evaluation_batches("memory://tiny_dataset", "train", batch_size=24))
    here = list(evaluation_batches(str(tiny_dataset), "train", batch_size=24))
    assert there[0].keys == here[0].keys
    assert torch.equal(there[0].video, here[0].video)


def test_a_connection_that_drops_in_mid_epoch_costs_no_epoch(tiny_dataset: Path, s3: S3Server) -> None:
    """The batches are those of an undisturbed epoch; shards are hashed before it, each by a request of its own."""
    bucket = Store("s3://bucket/tiny")
    for name in Store(str(tiny_dataset)).names():
        write_file(bucket, name, (tiny_dataset / name).read_bytes())
    stored = open_split("s3://bucket/tiny", "train")
    s3.drops_left = 1
    stored.verify(stored.shards)
    batches = train_batches(stored, epoch=0, seed=0, batch_size=8)
    first = next(batches)
    assert s3.drops_left == 0
    s3.drops_left = 2
    rest = list(batches)
    assert s3.drops_left == 0
    here = read_epoch(tiny_dataset)[0]
    assert keys_of([first, *rest]) == keys_of(here)
    assert all(torch.equal(one.video, other.video) for one, other in zip([first, *rest], here, strict=True))


def test_a_store_that_refuses_once_in_mid_epoch_costs_no_epoch(tiny_dataset: Path, s3: S3Server) -> None:
    """One of four requests is answered with an error that the library for S3 does not try again by itself."""
    bucket = Store("s3://bucket/tiny")
    for name in Store(str(tiny_dataset)).names():
        write_file(bucket, name, (tiny_dataset / name).read_bytes())
    stored = open_split("s3://bucket/tiny", "train")
    num_requests = len(s3.requests)
    s3.failing_share = 0.25
    batches = list(train_batches(stored, epoch=0, seed=0, batch_size=8, threads=2))
    assert len(s3.requests) - num_requests > 24
    assert keys_of(batches) == keys_of(read_epoch(tiny_dataset)[0])
