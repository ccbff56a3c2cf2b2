"""A training submitted as a job, as README shows it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.checkpoint import load_info

pytestmark = pytest.mark.alone
ROOT = Path(__file__).parents[2]
JOB = """
import os

os.environ["MPLBACKEND"] = "pdf"
import ray

from pipeline.cluster import connect

with connect():
    found = ray.get(ray.remote(lambda: [os.environ["MPLBACKEND"], os.environ["RAY_DEDUP_LOGS"]]).remote())
print("a worker has", found)
"""
"""A driver that tells two variables of a worker process."""


def submit(command: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Submit a job and wait for its end; a Ray that has just started takes jobs only after some seconds."""
    deadline = time.monotonic() + 180
    while True:
        done = subprocess.run(
            [Path(sys.executable).with_name("ray"), "job", "submit", "--working-dir", ROOT, *options, "--", *command],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if "No available agent" not in done.stderr or time.monotonic() > deadline:
            return done
        time.sleep(2)


@pytest.mark.slow
def test_a_submitted_training_runs_on_the_cluster_and_leaves_its_checkpoint(
    tiny_dataset: Path, tmp_path: Path, ray_session: None
) -> None:
    training = [
        sys.executable, "-m", "pipeline", "train", "pipeline/configs/train/standard.yaml", f"data={tiny_dataset}",
        f"output={tmp_path / 'out'}", "epochs=1", "batch_size=8", "validation.attacks=[{name: fgsm}]",
        "model={video_encoder: tiny, audio_encoder: tiny, feature_size: 16}",
    ]  # fmt: skip
    done = submit(training)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    assert "epoch 1/1" in done.stdout
    assert load_info(tmp_path / "out" / "checkpoint").epoch == 1


@pytest.mark.slow
def test_workers_of_a_job_get_what_its_command_sets_and_what_the_user_sets_wins(ray_session: None) -> None:
    """The driver sets `MPLBACKEND`, as a command sets its defaults; the job is submitted with `RAY_DEDUP_LOGS`."""
    done = submit([sys.executable, "-c", JOB], "--runtime-env-json", '{"env_vars": {"RAY_DEDUP_LOGS": "2"}}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a worker has ['pdf', '2']" in done.stdout


@pytest.mark.slow
def test_a_job_refuses_relative_places_and_looks_at_every_node(tmp_path: Path, ray_session: None) -> None:
    command = [sys.executable, "-m", "pipeline", "doctor"]
    refused = submit([*command, "output=runs/x"])
    assert refused.returncode != 0
    assert "output='runs/x': write output=/shared/runs/x" in refused.stdout
    looked = submit([*command, f"output={tmp_path / 'out'}"])
    said = " ".join(looked.stdout.split())
    assert f"{os.uname().nodename} (" in said
    assert "1 nodes" in said
    assert "decoders can open no file" in said or "this system cannot forbid" in said
    assert list(tmp_path.iterdir()) == []
