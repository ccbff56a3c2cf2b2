"""Ray tasks that build shards: one each, few at a time, and what is done when tasks are lost or fail."""

from __future__ import annotations

from collections.abc import Generator

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

from preprocessing.building import BuiltShard, ShardJob, build_shard
from preprocessing.cluster.capacity import capacity, tasks_at_once
from preprocessing.cluster.shared_places import Landmark, SharedPlace, recognise
from preprocessing.cluster.waiting import Patience, cluster_in_words
from preprocessing.config import PreprocessConfig
from preprocessing.decoding.parent import DecoderStartError
from preprocessing.errors import ResourceError, users_mistake
from preprocessing.plan import Plan
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.storage.store import Store

LOST_WORKERS_PER_SHARD = 5
"""A shard is built again when its worker or node is lost, so often."""
SECONDS_TO_STOP = 20.0
SECONDS_BETWEEN_LOOKS = 5.0
"""Time after which the cluster's size is looked at again if no shard is finished."""
SHARD_NEEDS = {"CPU": 1}
VIDEOS_LOOKED_AT = 1000
"""Planned videos among which one is looked for that lies in a root: more would take long on a network."""


class BuildError(ResourceError):
    """A shard cost too many worker processes their lives."""


def build_all(
    config: PreprocessConfig, plan: Plan, *, output: str, known: tuple[Landmark, ...] = ()
) -> Generator[BuiltShard, None, None]:
    """The finished shards as they come, with at most `config.workers` tasks at a time; stopping early cancels the rest.

    With `workers` unset there are as many as the cluster could run once it has grown, so that it grows.

    Ray runs a task again when its worker or its node is lost. A store that fails has been tried several times by then
    (see `Store`), so its error ends the job: with a full disk every further task would fail, too.

    Args:
        config: what is built and how.
        plan: the shards.
        output: where they go, under a name that holds in every process.
        known: the landmarks by which every process recognises the places it works with.

    Raises:
        ResourceError: if there is no CPU and will be none, or none has come in `config.max_wait_minutes`.
        UnsharedPlaceError: if a node does not see these places.
        StoreError: if the output cannot be read or written.
        BuildError: if a shard cost too many worker processes their lives.
    """
    capacity().require([SHARD_NEEDS], what="building shards takes 1 CPU each", remedy="connect to a larger Ray")
    task = ray.remote(build_recognised).options(
        num_cpus=1, max_retries=LOST_WORKERS_PER_SHARD, retry_exceptions=[DecoderStartError]
    )
    waiting = jobs(config, plan, output=output)[::-1]
    running: dict[ray.ObjectRef[BuiltShard], str] = {}
    patience = Patience(config.max_wait_minutes)
    try:
        with heartbeat(lambda: f"building {len(running)} shards: {cluster_in_words([SHARD_NEEDS])}"):
            while waiting or running:
                at_once = config.workers or tasks_at_once()
                while waiting and len(running) < at_once:
                    job = waiting.pop()
                    running[task.remote(known, job)] = job.shard.name
                done, _ = ray.wait(list(running), num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
                for each in done:
                    yield result(each, running.pop(each))
                patience.look([SHARD_NEEDS], what="1 CPU to build shards")
    finally:
        stop(list(running))


def shared_places(config: PreprocessConfig, plan: Plan) -> tuple[SharedPlace, ...]:
    """The folders that every node must see; those of the videos are known by one of the first videos that are there."""
    sources = [clip.source for shard in plan.shards for clip in shard.clips][:VIDEOS_LOOKED_AT]
    videos = [
        SharedPlace("dataset.root", str(root), next((each for each in sources if (root / each).is_file()), ""))
        for root in (root.resolve() for root in config.dataset.roots)
    ]
    return (SharedPlace("output", Store(config.output).everywhere, is_written=True), *videos)


def build_recognised(known: tuple[Landmark, ...], job: ShardJob) -> BuiltShard:
    """Build a shard where the driver's places are seen, and nowhere else; a process that is cancelled ends."""
    try:
        recognise(known)
        return build_shard(job)
    except KeyboardInterrupt:  # maybe in the middle of an import, which leaves half a module behind
        raise SystemExit(1) from None


def jobs(config: PreprocessConfig, plan: Plan, *, output: str) -> list[ShardJob]:
    """The jobs that the tasks are given."""
    plan_sha256 = plan.sha256()
    return [
        ShardJob(
            output=output,
            data_roots=tuple(root.resolve() for root in config.dataset.roots),
            shard=shard,
            plan_sha256=plan_sha256,
            clip_format=config.format,
            options=config.decode_options,
            limits=config.process_limits,
            repair=config.repair,
        )
        for shard in plan.shards
    ]


def result(done: ray.ObjectRef[BuiltShard], name: str) -> BuiltShard:
    """Return what a finished task returned, or raise its error as the user should read it."""
    try:
        return ray.get(done)
    except RayTaskError as error:
        if mistake := users_mistake(error):
            raise mistake from None
        raise
    except (WorkerCrashedError, NodeDiedError, OutOfMemoryError) as error:
        raise BuildError(
            f"shard '{name}' was given up: its worker process was lost {LOST_WORKERS_PER_SHARD + 1} times "
            f"({str(error).splitlines()[0]}); lower `workers` if memory is short, then run the same command again: "
            "finished shards are kept"
        ) from error


def stop(running: list[ray.ObjectRef[BuiltShard]]) -> None:
    """Cancel tasks and give them time to remove their unfinished files."""
    for reference in running:
        ray.cancel(reference)
    if running:
        ray.wait(running, num_returns=len(running), timeout=SECONDS_TO_STOP)
