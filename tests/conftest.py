"""What every test may use: one local Ray for the whole run, and settings that keep it quick and quiet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.environment import set_up_environment

# Set before anything starts Ray or loads a numerical library; worker processes inherit them.
os.environ.update(
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    RAY_AUTH_MODE="disabled",
    RAY_TRAIN_HEALTH_CHECK_INTERVAL_S="0.2",
)
set_up_environment(local=True)
for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A local Ray with two CPUs and its dashboard, shared by all tests of the run."""
    from pipeline.cluster import local_ray

    with local_ray(num_cpus=2, num_gpus=0, show_workers=False):
        yield


TINY_CLASSES = ("playing accordion", "playing drums", "playing piano", "singing")
TINY_COLOURS = ((200, 60, 60), (60, 190, 60), (60, 60, 200), (190, 190, 60))
TINY_TONES_HZ = (220.0, 520.0, 1250.0, 3000.0)


@pytest.fixture(scope="session")
def tiny_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 real MP4 files of 2 s in class folders: 24 train, 8 validation, 8 test; each class has a colour and a tone."""
    root = tmp_path_factory.mktemp("tiny_videos")
    for split, per_class in (("train", 6), ("validation", 2), ("test", 2)):
        for label, class_name in enumerate(TINY_CLASSES):
            folder = root / split / class_name
            folder.mkdir(parents=True)
            for index in range(per_class):
                write_tiny_video(
                    folder / f"{split[:5]:-<5}-{label}-{index:03d}_000000_000002.mp4", label=label, seed=index
                )
    return root


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path, ray_session: None) -> Path:
    """`tiny_videos` as a finished data set: 4 classes, 4 segments of 0.5 s, frames of 32 pixels, 32 mels."""
    from preprocessing.config import PreprocessConfig
    from preprocessing.datasets import KineticsSounds
    from preprocessing.run import preprocess
    from preprocessing.schema import ClipFormat

    output = tmp_path_factory.mktemp("tiny_dataset") / "shards"
    preprocess(
        PreprocessConfig(
            dataset=KineticsSounds(root=tiny_videos, classes=TINY_CLASSES),
            output=str(output),
            format=ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32),
            shard_size=10,
        )
    )
    return output


def write_tiny_video(path: Path, *, label: int, seed: int) -> None:
    """Encode 2 s of H.264 and AAC: a square of the class's colour moves over noise while the class's tone sounds."""
    import av

    generator = np.random.default_rng([label, seed])
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "crf": "25"})
        video.width, video.height, video.pix_fmt = 48, 40, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        for index in range(20):
            picture = generator.integers(0, 120, (40, 48, 3), dtype=np.uint8)
            left = (index + 3 * seed) % 20
            picture[8:32, left : left + 28] = TINY_COLOURS[label]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        seconds = np.arange(32_000) / 16_000
        tone = np.sin(2 * np.pi * TINY_TONES_HZ[label] * generator.uniform(0.95, 1.05) * seconds)
        waveform = generator.uniform(0.1, 0.4) * tone + generator.normal(0, 0.02, tone.shape)
        sound = av.AudioFrame.from_ndarray(waveform.astype(np.float32)[np.newaxis, :], format="fltp", layout="mono")
        sound.sample_rate = 16_000
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
