"""The environment variables that Ray, MLflow and numerical libraries find: set before any of them is imported."""

from __future__ import annotations

import os

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # a Ray CPU is one thread; numerical libraries would take all cores each
    "RAY_DEDUP_LOGS": "0",  # progress lines look alike, and every one of them counts
    "RAY_COLOR_PREFIX": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # Ray Tune's banner; a search has its own lines
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a checkpoint counts only once the controller has polled it
    "RAY_TRAIN_COLLECTIVE_TIMEOUT_S": "600",  # without it a lost rank hangs the others for ever
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "60",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # it logs tracebacks of what is told in a line
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a run's page is told when it begins
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # seconds; a server that is away is tried again by the recorder,
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # which can say so, and not by MLflow's client
    "MPLBACKEND": "Agg",
}
"""Defaults of environment variables: the user's own values win."""

LOCAL_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # Ray listens on this machine only and must leave no token in the home folder
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # nobody preempts this machine
}
"""The same for a Ray on this machine alone."""

JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray for what `ray job submit` starts."""


def is_submitted_job() -> bool:
    """True in a process that was submitted to a cluster: it runs in Ray's copy of its working directory."""
    return JOB_VARIABLE in os.environ


def set_up_environment(*, local: bool = False) -> None:
    """Set what is not set yet."""
    for name, value in (ENVIRONMENT | (LOCAL_ENVIRONMENT if local else {})).items():
        os.environ.setdefault(name, value)
