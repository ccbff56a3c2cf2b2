"""How much faster two workers train than one: real trainings on Ray, each worker with one core.

The same global batch in both cases, so that both learn the same. Clips per second of whole epochs (reading, crafting,
training; not validation and not Ray's start), the median over the epochs after the first; the trainings alternate.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.clips import write_clips
from benchmarks.row import Row
from pipeline.cluster import connect
from preprocessing.schema import ClipFormat
from training.attacks import PGD
from training.config import TrainConfig, ValidationConfig
from training.models import ModelConfig
from training.objectives import PGDAT
from training.run import train

ROUNDS = 2
EPOCHS = 5
FORMAT = ClipFormat(num_segments=8, segment_seconds=0.5, frame_size=32, num_mels=64)


def rows() -> list[Row]:
    """Two workers beside one."""
    speeds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder, connect("local", num_cpus=2):
        data = Path(folder) / "data"
        write_clips(data, FORMAT, num_train=512, num_validation=8)
        for number in range(ROUNDS):
            for workers, measured in speeds.items():
                history = train(settings(data, Path(folder) / f"{workers}-{number}", workers=workers)).history
                measured += [metrics["time/clips_per_second"] for metrics in history[1:]]
    one, two = (statistics.median(measured) for measured in speeds.values())
    detail: dict[str, object] = {"one_clips_per_second": one, "two_clips_per_second": two, "objective": "pgd_at"}
    return [Row("two_workers", two / one, "1.8 or more", detail)]


def settings(data: Path, output: Path, *, workers: int) -> TrainConfig:
    """PGD adversarial training of the demo's model."""
    return TrainConfig(
        data=str(data),
        output=str(output),
        objective=PGDAT(attack=PGD(steps=5)),
        model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=64),
        epochs=EPOCHS,
        batch_size=64,
        validation=ValidationConfig(attacks=(PGD(steps=1),)),
        workers=workers,
        gpu=False,
    )
