"""The files that a reader opens on the way of a clip: from a CSV to a shard, to a batch, to a loss.

Each way is gone by real code in this process, with tiny inputs and without Ray. A file is opened if one of its
functions runs on the way, unless it is in `VOCABULARY` or `GENERIC`, which a reader need not open. What a class only
declares, and what runs while modules are imported, is not on the way.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType, FrameType

import torch

ROOT = Path(__file__).resolve().parent.parent
VOCABULARY = {
    "preprocessing/schema.py": "the names, types and units of what is stored",
    "preprocessing/decoding/protocol.py": "the form of the messages between two processes",
    "preprocessing/storage/members.py": "the names of a sample's files",
    "training/batch.py": "the names, types and units of tensors",
}
"""Files of types and names that decide nothing on the way: they are read where they are used."""
GENERIC = {
    "preprocessing/decoding/opening.py": "a regular file inside a folder, without links",
    "preprocessing/decoding/sample_clock.py": "a clock from stamps and counted samples",
    "preprocessing/datasets/tables.py": "a table from a text file in any dialect",
    "preprocessing/settings.py": "the base class of settings",
    "preprocessing/seeds.py": "a seed from words",
    "preprocessing/reporting/csv_text.py": "a CSV that is safe to open",
    "preprocessing/storage/atomic_file.py": "files that show whole or not at all",
    "preprocessing/storage/atomic_folder.py": "folders that show whole or not at all",
    "preprocessing/storage/libraries.py": "the versions of libraries",
    "preprocessing/storage/migrations.py": "records of earlier formats, step by step",
    "preprocessing/storage/parsing.py": "a record within bounds of size, depth and number",
    "preprocessing/storage/places.py": "names in a folder or a bucket",
    "preprocessing/storage/store.py": "files by name, in a folder or a bucket",
    "training/attacks/engine/randomness.py": "a random generator from a seed and words",
}
"""Files that know nothing of clips and would serve another project as they are: their functions' names are enough."""


@contextmanager
def opened(found: set[str], packages: tuple[str, ...]) -> Iterator[None]:
    """Collect the files of our packages whose functions run inside the block, in all threads."""
    prefixes = tuple(f"{ROOT / package}/" for package in packages)
    seen: set[CodeType] = set()

    def look(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event != "call" or code in seen:
            return
        seen.add(code)
        is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)  # bodies of modules and classes are not
        if is_function and code.co_filename.startswith(prefixes):
            found.add(str(Path(code.co_filename).relative_to(ROOT)))

    before = sys.getprofile(), threading.getprofile()
    threading.setprofile(look)
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])


@cache
def paths(packages: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The files on each way by its name, in the order of the tree."""
    for package in packages:
        for module in walk_packages([str(ROOT / package)], f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    ways: dict[str, tuple[str, ...]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make_ready in (
            ("CSV to shard", csv_to_shard),
            ("shard to batch", shard_to_batch),
            ("batch to loss", batch_to_loss),
        ):
            found: set[str] = set()
            go = make_ready(Path(folder))
            with opened(found, packages):
                go()
            ways[name] = tuple(sorted(found - VOCABULARY.keys() - GENERIC.keys()))
    return ways


def csv_to_shard(folder: Path) -> Callable[[], None]:
    """One video in a CSV of Kinetics-Sounds: listed, planned, decoded, stored.

    The decoder process is started and asked, which is the supervisor's side; then what it does is done here.
    """
    from preprocessing.building import build_shard
    from preprocessing.cluster.tasks import jobs
    from preprocessing.config import PreprocessConfig
    from preprocessing.datasets import KineticsSounds
    from preprocessing.decoding.child import serve
    from preprocessing.plan import make_plan
    from preprocessing.schema import ClipFormat
    from tests.tiny_video import write_tiny_video

    videos, clip = folder / "videos", "abcdefghijk_000000_000002"
    videos.mkdir()
    write_tiny_video(videos / f"{clip}.mp4", label=3, seed=0)
    (videos / "train.csv").write_text(f"label,youtube_id,time_start,time_end,split\nsinging,{clip[:11]},0,2,train\n")
    config = PreprocessConfig(
        dataset=KineticsSounds(root=videos, classes=("singing",), validation_share=0),
        output=str(folder / "shards"),
        format=ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32),
    )

    def go() -> None:
        plan, _ = make_plan(
            config.dataset.listing(), roots=config.dataset.roots, settings={}, shard_size=1, seed=config.seed
        )
        (job,) = jobs(config, plan, output=config.output)
        built = build_shard(job)
        assert [sample.key for sample in built.record.samples] == [clip]
        with (videos / f"{clip}.mp4").open("rb", buffering=0) as file:
            serve(file, {"suffix": ".mp4", "start_seconds": None, "is_kept": False}, config.decode_options)

    return go


def shard_to_batch(folder: Path) -> Callable[[], None]:
    """A stored data set: opened, its order drawn, its first batch read."""
    from benchmarks.clips import write_clips
    from preprocessing.schema import ClipFormat
    from training.data import open_split, train_batches

    clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
    write_clips(folder / "dataset", clip_format, num_train=2)

    def go() -> None:
        stored = open_split(str(folder / "dataset"), "train")
        assert len(next(train_batches(stored, epoch=0, seed=0, batch_size=2))) == 2

    return go


def batch_to_loss(folder: Path) -> Callable[[], None]:
    """The objective of `tma_curriculum.yaml`, in the middle of its training, on a batch of two clips."""
    from preprocessing.schema import ClipFormat
    from studies.training.methods import curriculum
    from training.batch import Batch
    from training.models import ModelConfig

    clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=8)
        model = config.build(clip_format, 3).train()
        batch = Batch(torch.rand(2, 4, 3, 16, 16), torch.rand(2, 4, 16, 16), torch.tensor([0, 2]), ("one", "two"))
    objective = curriculum()

    def go() -> None:
        generator = torch.Generator().manual_seed(0)
        (loss,) = objective.losses(model, batch, progress=0.5, generator=generator)
        assert loss.total.isfinite()

    return go
