"""Ray tasks that build shards: one each, few at a time, and what is done when tasks are lost or fail."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from ray.exceptions import RayTaskError

from preprocessing.building import BuiltShard, ShardJob, build_shard
from preprocessing.cluster.capacity import capacity, tasks_at_once
from preprocessing.cluster.shared_places import Landmark, SharedPlace, recognise
from preprocessing.cluster.streams import LostTaskError, Streams
from preprocessing.cluster.waiting import Patience, cluster_in_words
from preprocessing.config import PreprocessConfig
from preprocessing.decoding.parent import DecoderStartError
from preprocessing.errors import ResourceError, users_mistake
from preprocessing.plan import Plan
from preprocessing.reporting.heartbeat import heartbeat
from preprocessing.storage.store import Store

LOST_WORKERS_PER_SHARD = 5
"""A shard is built again when its worker or node is lost, so often."""
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

    A task is run again when its worker or its node is lost. A store that fails has been tried several times by then
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
    waiting = {job.shard.name: job for job in jobs(config, plan, output=output)}
    streams = Streams(
        build_recognised, options={"num_cpus": 1}, max_losses=LOST_WORKERS_PER_SHARD, retried=(DecoderStartError,)
    )
    patience = Patience(config.max_wait_minutes)
    try:
        with heartbeat(lambda: f"building {len(streams)} shards: {cluster_in_words([SHARD_NEEDS])}"):
            while waiting or streams:
                at_once = config.workers or tasks_at_once()
                while waiting and len(streams) < at_once:
                    name = next(iter(waiting))
                    streams.start(name, partial(tuple, (known, waiting.pop(name))))
                yield from finished(streams)
                patience.look([SHARD_NEEDS], what="1 CPU to build shards")
    finally:
        streams.stop()


def finished(streams: Streams[BuiltShard]) -> list[BuiltShard]:
    """The shards that are finished by now; a wait of some seconds if there are none."""
    try:
        found = streams.items(seconds=SECONDS_BETWEEN_LOOKS)
    except LostTaskError as error:
        raise BuildError(
            f"shard {error}; lower `workers` if memory is short, then run the same command again: finished shards are "
            "kept"
        ) from error
    except RayTaskError as error:
        if mistake := users_mistake(error):
            raise mistake from None
        raise
    for name, _ in found:
        streams.forget(name)
    return [shard for _, shard in found]


def shared_places(config: PreprocessConfig, plan: Plan) -> tuple[SharedPlace, ...]:
    """The folders that every node must see; those of the videos are known by one of the first videos that are there."""
    sources = [clip.source for shard in plan.shards for clip in shard.clips][:VIDEOS_LOOKED_AT]
    videos = [
        SharedPlace("dataset.root", str(root), next((each for each in sources if (root / each).is_file()), ""))
        for root in (root.resolve() for root in config.dataset.roots)
    ]
    return (SharedPlace("output", Store(config.output).everywhere, is_written=True), *videos)


def build_recognised(known: tuple[Landmark, ...], job: ShardJob) -> tuple[BuiltShard]:
    """Build a shard where the driver's places are seen, and nowhere else."""
    recognise(known)
    return (build_shard(job),)


def jobs(config: PreprocessConfig, plan: Plan, *, output: str) -> list[ShardJob]:
    """The jobs that the tasks are given."""
    plan_sha256 = plan.sha256()
    return [
        ShardJob(
            output=output,
            data_roots=tuple(root.resolve() for root in config.dataset.roots),
            shard=shard,
            plan_sha256=plan_sha256,
            clip_format=config.clip_format,
            options=config.decode_options,
            limits=config.process_limits,
            repair=config.repair,
        )
        for shard in plan.shards
    ]
