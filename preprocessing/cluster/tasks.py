"""Ray tasks that build shards: one each, few at a time, and what is done when tasks are lost or fail."""

from __future__ import annotations

from collections.abc import Generator

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

from preprocessing.building import BuiltShard, ShardJob, build_shard
from preprocessing.config import PreprocessConfig
from preprocessing.decoding.parent import DecoderStartError
from preprocessing.errors import ResourceError
from preprocessing.plan import Plan
from preprocessing.storage.store import StoreError

LOST_WORKERS_PER_SHARD = 5
"""A shard is built again when its worker or node is lost, so often."""
SECONDS_TO_STOP = 20.0


class BuildError(ResourceError):
    """A shard cost too many worker processes their lives."""


def build_all(config: PreprocessConfig, plan: Plan, *, output: str) -> Generator[BuiltShard, None, None]:
    """The finished shards as they come, with at most `config.workers` tasks at a time; stopping early cancels the rest.

    Ray runs a task again when its worker or its node is lost. A store that fails has been tried several times by then
    (see `Store`), so its error ends the job: with a full disk every further task would fail, too.

    Args:
        config: what is built and how.
        plan: the shards.
        output: where they go, under a name that holds in every process.

    Raises:
        StoreError: if the output cannot be read or written.
        BuildError: if a shard cost too many worker processes their lives.
    """
    task = ray.remote(build_shard).options(
        num_cpus=1, max_retries=LOST_WORKERS_PER_SHARD, retry_exceptions=[DecoderStartError]
    )
    workers = config.workers or max(int(ray.cluster_resources().get("CPU", 1)), 1)  # type: ignore[no-untyped-call]
    waiting = jobs(config, plan, output=output)[::-1]
    running: dict[ray.ObjectRef[BuiltShard], str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop()
                running[task.remote(job)] = job.shard.name
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield result(done, running.pop(done))
    finally:
        stop(list(running))


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
        if isinstance(error.cause, StoreError):
            raise StoreError(str(error.cause)) from None
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
