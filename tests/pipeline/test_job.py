"""A training submitted as a job, as README shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.checkpoint import load_info

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_submitted_training_runs_on_the_cluster_and_leaves_its_checkpoint(
    tiny_dataset: Path, tmp_path: Path, ray_session: None
) -> None:
    programs = Path(sys.executable).parent
    training = [
        "python", "-m", "pipeline", "train", "pipeline/configs/train/standard.yaml", f"data={tiny_dataset}",
        f"output={tmp_path / 'out'}", "epochs=1", "batch_size=8", "validation.attacks=[{name: fgsm}]",
        "model={video_encoder: tiny, audio_encoder: tiny, feature_size: 16}",
    ]  # fmt: skip
    done = subprocess.run(
        [programs / "ray", "job", "submit", "--working-dir", ROOT, "--", *training],
        env=os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    assert "epoch 1/1" in done.stdout
    assert load_info(tmp_path / "out" / "checkpoint").epoch == 1
