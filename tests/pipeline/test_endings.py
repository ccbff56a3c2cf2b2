"""How real commands end, in processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline.tracking.address import store_address
from pipeline.tracking.opening import open_store
from preprocessing.storage.output_lock import holder_of
from preprocessing.storage.records import load_index
from tests.pipeline.broken_attack import FAULT, MISTAKE, write_plugin
from training.checkpoint import CheckpointInfo, save
from training.models import ModelConfig

ROOT = Path(__file__).parents[2]
TINY = "model={video_encoder: tiny, audio_encoder: tiny, feature_size: 16}"
SECONDS_TO_END = 10
"""Slurm and Kubernetes kill what has not ended some time after they asked: Kubernetes after 30 s by default."""
PGD = "{name: pgd, steps: 1}"


def start(words: list[str], *, plugin: Path | None = None) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, [str(plugin or ""), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train_words(data: Path, output: Path, *more: str) -> list[str]:
    return [
        "train", "pipeline/configs/train/standard.yaml", f"data={data}", f"output={output}", "batch_size=8", TINY,
        f"validation.attacks=[{PGD}]", "max_failures=0", *more,
    ]  # fmt: skip


def evaluate_words(data: Path, output: Path, checkpoint: Path) -> list[str]:
    return [
        "evaluate", f"checkpoint={checkpoint}", f"data={data}", f"output={output}", f"attacks=[{PGD}]",
        f"reference_attack={PGD}", "workers=1", "limit=4",
    ]  # fmt: skip


@pytest.fixture
def checkpoint(tiny_dataset: Path, tmp_path: Path) -> Path:
    index, config = load_index(str(tiny_dataset)), ModelConfig(video_encoder="tiny", audio_encoder="tiny")
    torch.manual_seed(0)
    info = CheckpointInfo(
        model=config, clip_format=index.format, classes=index.classes, dataset_sha256="0" * 64, epoch=1, metrics={}
    )
    model = config.build(index.format, len(index.classes))
    save(tmp_path / "checkpoint", model=model, info=info, config={}, state={})
    return tmp_path / "checkpoint"


@pytest.fixture(params=["train", "evaluate"])
def ended_by(
    request: pytest.FixtureRequest, tiny_dataset: Path, tmp_path: Path, checkpoint: Path
) -> Callable[[str], tuple[int, str]]:
    """Exit status and words of a command whose attack does this, in a worker's process."""

    def end(does: str) -> tuple[int, str]:
        output = tmp_path / "out"
        words = {
            "train": train_words(tiny_dataset, output, "epochs=1"),
            "evaluate": evaluate_words(tiny_dataset, output, checkpoint),
        }[request.param]
        process = start(words, plugin=write_plugin(tmp_path / "plugin", does))
        _, said = process.communicate(timeout=280)
        return process.returncode, said

    return end


@pytest.mark.slow
def test_a_fault_in_an_attack_shows_its_file_and_line(
    ended_by: Callable[[str], tuple[int, str]], tmp_path: Path
) -> None:
    status, said = ended_by(FAULT)
    assert status == 1, said
    assert f'File "{tmp_path}/plugin/stranger.py", line 3, in perturb' in said
    assert "mat1 and mat2 shapes cannot be multiplied" in said


@pytest.mark.slow
def test_a_mistake_that_a_worker_finds_is_told_without_a_traceback(
    ended_by: Callable[[str], tuple[int, str]],
) -> None:
    status, said = ended_by(MISTAKE)
    assert status == 2, said
    assert said.splitlines()[-1].endswith("clip 'x' is not what its record says")
    assert said.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_refuses_a_second_one_and_interrupted_says_how_to_go_on_and_mlflow_says_killed(
    number: signal.Signals, tiny_dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    process = start(train_words(tiny_dataset, output, "epochs=10000"))
    deadline = time.monotonic() + 250
    while not list(output.glob("epochs/00*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    second = start(train_words(tiny_dataset, output, "epochs=10000"))
    _, said = second.communicate(timeout=60)
    assert second.returncode == 2, said
    assert f"is in use by train in process {process.pid} on {socket.gethostname()}, since" in said
    interrupted = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert time.monotonic() - interrupted < SECONDS_TO_END
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == (
        "interrupted: run the same command again to go on after the last stored epoch or step"
    )
    assert "Traceback" not in said
    store = open_store(store_address(str(output)))
    (run,) = store.client().search_runs([store.experiment_id])
    assert run.info.status == "KILLED"
    assert holder_of(str(output)) is None
    assert not list(output.rglob(".unfinished-*"))
