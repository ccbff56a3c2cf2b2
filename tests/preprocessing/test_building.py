"""What one task does: a shard built, found finished, given up or built again."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from preprocessing.building import BuiltShard, ShardJob, build_shard
from preprocessing.plan import PlannedClip, PlannedShard
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from preprocessing.storage.store import StoreError
from tests.preprocessing.small_run import config, flip_a_bit, kill
from tests.preprocessing.storage.test_atomic_file import largest_file


@pytest.fixture
def job(videos: Path, tmp_path: Path) -> ShardJob:
    """Three videos into one shard."""
    wanted = config(videos, tmp_path)
    clips = tuple(
        PlannedClip(key=path.stem, label=0, class_name="singing", source=f"singing/{path.name}", start_seconds=None)
        for path in sorted((videos / "singing").iterdir())[:3]
    )
    return ShardJob(
        output=str(tmp_path),
        data_roots=(videos,),
        shard=PlannedShard(name="train/000000.tar", split="train", clips=clips),
        plan_sha256="0" * 64,
        clip_format=wanted.clip_format,
        options=wanted.decode_options,
        limits=wanted.process_limits,
    )


def files(job: ShardJob) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(job.output).rglob("*") if path.is_file()}


def test_a_shard_is_built_once_and_then_found(job: ShardJob) -> None:
    built = build_shard(job)
    assert not built.reused
    assert [sample.key for sample in built.record.samples] == [clip.key for clip in job.shard.clips]
    assert {"av", "numpy", "torch", "libavcodec"} <= set(built.record.libraries)
    before = files(job)
    assert build_shard(job) == BuiltShard(built.record, reused=True)
    assert files(job) == before


def test_a_shard_of_another_plan_is_built_again(job: ShardJob) -> None:
    build_shard(job)
    assert not build_shard(replace(job, plan_sha256="1" * 64)).reused


def test_only_a_repair_reads_a_finished_shard(job: ShardJob) -> None:
    build_shard(job)
    before = files(job)
    flip_a_bit(Path(job.output) / job.shard.name)
    assert build_shard(job).reused
    assert not build_shard(replace(job, repair=True)).reused
    assert files(job) == before
    assert build_shard(replace(job, repair=True)).reused


def test_a_video_that_cannot_be_stored_leaves_its_place_empty(job: ShardJob) -> None:
    """Its reason names it relative to the data set."""
    missing = job.shard.clips[1].model_copy(update={"source": "singing/missing.mp4"})
    clips = (job.shard.clips[0], missing, job.shard.clips[2])
    record = build_shard(replace(job, shard=job.shard.model_copy(update={"clips": clips}))).record
    assert [sample.key for sample in record.samples] == [clips[0].key, clips[2].key]
    (rejection,) = record.rejected
    assert (rejection.file, rejection.reason) == ("singing/missing.mp4", "missing_file")
    assert str(job.data_roots[0]) not in rejection.detail


def test_a_killed_decoder_costs_no_clip(job: ShardJob, tmp_path: Path) -> None:
    """It is killed after the first clip, whatever it does then."""
    undisturbed = replace(job, output=str(tmp_path / "undisturbed"))
    build_shard(undisturbed)
    disturbed = replace(job, output=str(tmp_path / "disturbed"))
    children = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children")
    known = set(children.read_text().split())
    killed: set[str] = set()
    is_over = threading.Event()

    def kill_decoders() -> None:
        while not is_over.wait(0.005) and not killed:
            for pid in set(children.read_text().split()) - known - killed:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"preprocessing.decoding.child" in command and is_decoding(disturbed) and kill(int(pid)):
                    killed.add(pid)

    killer = threading.Thread(target=kill_decoders)
    killer.start()
    try:
        build_shard(disturbed)
    finally:
        is_over.set()
        killer.join()
    assert killed
    assert files(disturbed) == files(undisturbed)


def is_decoding(job: ShardJob) -> bool:
    """Whether the first clip has been written: the decoder has then started."""
    drafts = list(Path(job.output).rglob(f"{TEMPORARY_PREFIX}*"))
    return any(draft.stat().st_size for draft in drafts)


def test_a_full_disk_leaves_nothing_and_a_second_attempt_succeeds(job: ShardJob) -> None:
    with largest_file(2000), pytest.raises(StoreError, match=r"000000\.tar': no space is left there"):
        build_shard(job)
    assert files(job) == {}
    assert not build_shard(job).reused


def test_a_task_that_finds_its_shard_finished_does_not_load_torch(job: ShardJob, ray_session: None) -> None:
    """Each runs in a worker of its own: one with an environment of its own, that ends after one call."""

    def build_and_list_modules(job: ShardJob) -> tuple[bool, bool]:
        return build_shard(job).reused, "torch" in sys.modules

    own_worker = {"env_vars": {"WORKER_OF": job.output}}
    task = ray.remote(runtime_env=own_worker, max_calls=1)(build_and_list_modules)
    assert ray.get(task.remote(job)) == (False, True)
    assert ray.get(task.remote(job)) == (True, False)
