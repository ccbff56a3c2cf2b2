"""What Ray is told, and what becomes of a task that is lost too often."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from preprocessing.cluster.tasks import LOST_WORKERS_PER_SHARD, BuildError, jobs
from preprocessing.datasets.base import Listing
from preprocessing.plan import make_plan
from preprocessing.run import preprocess
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from tests.preprocessing.small_run import config, contents, kill_one


def test_every_planned_shard_is_one_job_of_the_same_plan(videos: Path, tmp_path: Path) -> None:
    wanted = config(videos, tmp_path, repair=True)
    listing: Listing = wanted.dataset.listing()
    plan, _ = make_plan(listing, roots=(videos,), settings=wanted.fingerprint(), shard_size=4, seed=0)
    told = jobs(wanted, plan, output=str(tmp_path))
    assert [job.shard for job in told] == list(plan.shards)
    assert {job.plan_sha256 for job in told} == {plan.sha256()}
    assert all(job.repair for job in told)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_shard_that_costs_every_worker_its_life_is_given_up(videos: Path, tmp_path: Path, finished: Path) -> None:
    output = tmp_path / "shards"
    is_over = threading.Event()
    killed: list[bool] = []

    def kill_all() -> None:
        while not is_over.wait(0.002):
            killed.append(kill_one(output, "worker", random.Random(0)))

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(BuildError, match=r"shard '.*\.tar' was given up: it was lost 6 times"):
            preprocess(config(videos, output, workers=1))
    finally:
        is_over.set()
        killer.join()
    assert sum(killed) >= LOST_WORKERS_PER_SHARD + 1
    preprocess(config(videos, output))
    assert contents(output) == contents(finished)
    assert not list(output.rglob(f"{TEMPORARY_PREFIX}*"))
