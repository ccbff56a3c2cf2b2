"""A preprocessing run of seconds, for tests of what may happen to it."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Folder
from preprocessing.datasets.base import Shares
from preprocessing.schema import ClipFormat
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from preprocessing.storage.store import Store

DRAFTS = f"{TEMPORARY_PREFIX}*.tar"
"""Unfinished shards; the driver's own token is named otherwise."""
FORMAT = ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32)


def config(root: Path, output: Path | str, **changes: Any) -> PreprocessConfig:
    """Settings for videos of 2 s in class folders: 20 % of them in the validation split, four clips a shard."""
    shares = Shares(validation=0.2, test=0.0)
    settings = {"dataset": Folder(root=root, shares=shares), "output": str(output), "format": FORMAT, "shard_size": 4}
    return PreprocessConfig.model_validate(settings | changes)


def contents(root: Path | str) -> dict[str, bytes]:
    """All files of a data set but `dataset.json`, which names the output, by their path."""
    store = Store(str(root))
    return {name: store.read(name) for name in store.names() if name != "dataset.json"}


def flip_a_bit(file: Path) -> None:
    """Change one bit in the middle, and nothing else that a directory shows."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    with file.open("r+b") as stream:
        stream.write(data)


def is_begun(folder: Path) -> bool:
    """Whether a shard below `folder` is being written."""
    return any(folder.rglob(DRAFTS))


def writers_below(folder: Path) -> Iterator[int]:
    """The processes that hold an unfinished shard below `folder` open."""
    if not is_begun(folder):
        return
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            targets = [str(descriptor.readlink()) for descriptor in descriptors.iterdir()]
        except OSError:  # ended meanwhile, or not ours
            continue
        pid = int(descriptors.parent.name)
        drafts = (each for each in targets if each.startswith(f"{folder}/") and Path(each).match(DRAFTS))
        if pid != os.getpid() and any(drafts):
            yield pid


def decoders_of(writer: int) -> list[int]:
    """The decoder processes that a process has started."""
    found: list[int] = []
    for children in Path(f"/proc/{writer}/task").glob("*/children"):
        try:
            found += [int(pid) for pid in children.read_text().split()]
        except OSError:  # ended meanwhile
            continue
    return found


def kill(pid: int) -> bool:
    """Kill -9; whether there was such a process."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_one(folder: Path, victim: str, chance: random.Random) -> bool:
    """Kill a random `worker` or `decoder` that works for the data set in `folder`; whether there was one."""
    pids = list(writers_below(folder))
    if victim == "decoder":
        pids = [decoder for pid in pids for decoder in decoders_of(pid)]
    return bool(pids) and kill(chance.choice(pids))
