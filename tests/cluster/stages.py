"""The four stages as jobs on a farm, as the documentation submits them, and faults in those that are no training."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from tests.cluster.faults import TINY, Outcome, busiest, told
from tests.cluster.ray_farm import Job, RayFarm
from tests.tiny_video import TINY_CLASSES, make_unlike, write_tiny_video

FORMAT = (
    "format.num_segments=4", "format.segment_seconds=0.5", "format.frame_size=32", "format.num_mels=32",
)  # fmt: skip
STAGE_SECONDS = 420.0


def write_videos(folder: Path) -> None:
    """80 real MP4 files in class folders."""
    for split, per_class in (("train", 12), ("validation", 4), ("test", 4)):
        for label, class_name in enumerate(TINY_CLASSES):
            place = folder / split / class_name
            place.mkdir(parents=True)
            for index in range(per_class):
                path = place / f"{split}-{label}-{index:03d}.mp4"
                write_tiny_video(path, label=label, seed=index)
                make_unlike(path, split)


def preprocess(cluster: RayFarm, output: str) -> Job:
    return cluster.submit(
        "preprocess", "dataset.name=folder", "dataset.root=/shared/videos", f"output={output}", "shard_size=8", *FORMAT
    )


def tune(cluster: RayFarm, output: str) -> Job:
    training = json.dumps({"workers": 1, "batch_size": 8, "epochs": 3})
    return cluster.submit(
        "tune", "data=/shared/dataset", f"output={output}", "trials=3", f"train={training}",
        "train.objective.name=standard", *(f"train.{each}" for each in TINY),
        "space={optimizer.learning_rate: {name: loguniform, low: 1e-3, high: 1e-2}}",
    )  # fmt: skip


def evaluate(cluster: RayFarm, checkpoint: str, output: str) -> Job:
    return cluster.submit(
        "evaluate", f"checkpoint={checkpoint}", "data=/shared/dataset", f"output={output}", "workers=2",
        "attacks=[{name: fgsm}, {name: pgd, steps: 5}]", "curve=[0, 1]", "num_resamples=200",
    )  # fmt: skip


def succeeded(job: Job) -> Job:
    """The job, once it has succeeded."""
    status = job.wait(seconds=STAGE_SECONDS)
    assert status == "SUCCEEDED", f"{job.name}: {status or 'still running'}\n{job.text[-4000:]}"
    return job


def content(folder: Path) -> str:
    """A hash of every file of a data set but its index, which names its place."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.tar")):
        digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()


def preprocess_losing_a_node(cluster: RayFarm, *, expected: str) -> Outcome:
    """A node is lost while shards are built on it."""
    started = time.monotonic()
    job = preprocess(cluster, "/shared/dataset-2")
    host = busiest(cluster, job, "build_recognised")
    cluster.farm.kill(host)
    outcome = Outcome("preprocessing: a node is lost", ends=job.wait(seconds=STAGE_SECONDS) or "still running")
    folder = cluster.farm.shared / "dataset-2"
    if (folder / "dataset.json").exists():
        outcome.same_result = content(folder) == expected
        counts = json.loads((folder / "dataset.json").read_text())["num_clips"]
        outcome.clips_lost = 80 - sum(counts.values())
    outcome.told = told(job.text)
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def search_losing_a_node(cluster: RayFarm, *, expected: str) -> Outcome:
    """A node is lost while a trial trains on it."""
    started = time.monotonic()
    job = tune(cluster, "/shared/search-2")
    host = busiest(cluster, job)
    cluster.farm.kill(host)
    outcome = Outcome("a search: a node is lost", ends=job.wait(seconds=2 * STAGE_SECONDS) or "still running")
    best = cluster.farm.shared / "search-2/best.yaml"
    if best.exists():
        outcome.same_result = settings_of(best) == expected
    outcome.told = told(job.text)
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def settings_of(best: Path) -> str:
    """A best.yaml without its comment, which names its folder."""
    return "\n".join(line for line in best.read_text().splitlines() if not line.startswith("#"))
