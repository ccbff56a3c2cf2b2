"""What every test may use: one local Ray for the whole run, and settings that keep it quick and quiet."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# Set before anything starts Ray or loads a numerical library; worker processes inherit them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.update(
    RAY_AUTH_MODE="disabled",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    RAY_TRAIN_HEALTH_CHECK_INTERVAL_S="0.2",
    RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S="60",
    RAY_TRAIN_ENABLE_PREEMPTION_WATCHER="0",
    RAY_TRAIN_METRICS_ENABLED="0",
    MPLBACKEND="Agg",
)
os.environ.pop("RAY_ADDRESS", None)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A local Ray with two CPUs and its dashboard, shared by all tests of the run."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=0,
        include_dashboard=True,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()
