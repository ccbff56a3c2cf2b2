"""One task of preprocessing: a finished shard is found without loading what building one needs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import ray

from preprocessing.building import ShardJob, build_shard
from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Folder
from preprocessing.plan import PlannedClip, PlannedShard
from preprocessing.schema import ClipFormat


@pytest.fixture
def job(tmp_path: Path, video: Path) -> ShardJob:
    """A shard of one clip."""
    clip_format = ClipFormat(num_segments=2, segment_seconds=0.5, frame_size=32, num_mels=32)
    config = PreprocessConfig(dataset=Folder(root=video.parent), output=str(tmp_path), format=clip_format)
    clip = PlannedClip(key="clip", label=0, class_name="a", source=video.name, start_seconds=None)
    return ShardJob(
        output=str(tmp_path),
        data_root=video.parent,
        shard=PlannedShard(name="train/000000.tar", split="train", clips=(clip,)),
        plan_sha256="0" * 64,
        clip_format=clip_format,
        options=config.decode_options,
        limits=config.process_limits,
    )


def test_a_task_that_finds_its_shard_finished_does_not_load_torch(job: ShardJob, ray_session: None) -> None:
    """Each runs in a worker of its own: one with an environment of its own, that ends after one call."""

    def build_and_list_modules(job: ShardJob) -> tuple[bool, bool]:
        return build_shard(job).reused, "torch" in sys.modules

    own_worker = {"env_vars": {"WORKER_OF": job.output}}
    task = ray.remote(runtime_env=own_worker, max_calls=1)(build_and_list_modules)
    assert ray.get(task.remote(job)) == (False, True)
    assert ray.get(task.remote(job)) == (True, False)
