from __future__ import annotations

import os
import socket

import pytest
import ray
from ray.exceptions import AuthenticationError, RuntimeEnvSetupError

from pipeline import cluster
from pipeline.environment import ENVIRONMENT, JOB_VARIABLE
from preprocessing.errors import ResourceError


def test_a_connected_process_keeps_its_ray(ray_session: None) -> None:
    with cluster.connect():
        assert ray.cluster_resources()["CPU"] == 2  # type: ignore[no-untyped-call]
    assert ray.is_initialized()


def test_the_dashboard_of_the_session_answers(ray_session: None) -> None:
    cluster.require_dashboard()


def test_variables_are_set_or_missing_inside_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "hush")
    monkeypatch.delenv("SOME_PORT", raising=False)
    with cluster.environment(SOME_SECRET=None, SOME_PORT="1"):
        assert (os.environ.get("SOME_SECRET"), os.environ["SOME_PORT"]) == (None, "1")
    assert (os.environ["SOME_SECRET"], os.environ.get("SOME_PORT")) == ("hush", None)


def test_an_address_nobody_listens_at_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ValueError, match=f"RAY_ADDRESS is '{address}', and no Ray answers there"):
        cluster.require_listener(address)


def test_an_http_address_is_for_submitting_only() -> None:
    with pytest.raises(ValueError, match="allowed: auto or host:port"):
        cluster.require_listener("http://127.0.0.1:8265")


def test_a_worker_is_given_our_defaults_but_for_those_that_its_job_was_submitted_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = cluster.variables_of_workers()
    assert everything.items() >= {name: os.environ[name] for name in ENVIRONMENT}.items()
    monkeypatch.setenv(JOB_VARIABLE, '{"runtime_env": {"env_vars": {"MPLBACKEND": "svg"}}, "metadata": {}}')
    assert everything.keys() - cluster.variables_of_workers().keys() == {"MPLBACKEND"}
    monkeypatch.setenv(JOB_VARIABLE, '{"runtime_env": {}}')
    assert cluster.variables_of_workers() == everything


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AuthenticationError("Invalid token\nmore"), r"cannot be used \(Invalid token more.*; set RAY_AUTH_MODE=token"),
        (
            RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.59.0\n    Python: 3.11.7\n"),
            r"Version mismatch: The cluster was started with: Ray: 2\.59\.0 Python: 3\.11\.7\); install on both",
        ),
        (
            RuntimeEnvSetupError("Package size (600MiB) exceeds the maximum size of 512.0MiB"),
            "list in a file .rayignore",
        ),
        (ConnectionError("Failed to connect to Ray cluster at 10.0.0.1"), "the token is another than the cluster's"),
        (ConnectionError("GCS is gone"), r"cannot be used \(GCS is gone\); `ray status`"),
        (ValueError(), r"cannot be used \(ValueError\)"),
    ],
)
def test_a_cluster_that_takes_nobody_is_one_line_with_the_remedy(error: Exception, said: str) -> None:
    with pytest.raises(ResourceError, match=said) as refused, cluster.refusals_of("node:6379"):
        raise error
    assert "\n" not in str(refused.value)
