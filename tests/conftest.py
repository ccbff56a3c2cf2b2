"""One local Ray for the whole run, a real S3 API and small data, for every test that asks for them.

Ray, MLflow and the S3 server are imported by the fixtures that need them alone: they take seconds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.environment import set_up_environment
from pipeline.ports import free_port
from tests.s3_credentials import credentials
from tests.tiny_video import TINY_CLASSES, make_unlike, write_tiny_video

if TYPE_CHECKING:
    from tests.s3_server import S3Server

# Set before anything starts Ray or loads a numerical library; worker processes inherit them.
os.environ.update(
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    RAY_AUTH_MODE="disabled",
    RAY_TRAIN_HEALTH_CHECK_INTERVAL_S="0.2",
)
set_up_environment(local=True)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs behind it so
    signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
    os.environ.pop(name, None)
S3_PORT = free_port()
os.environ.update(credentials(S3_PORT))


RAY = ExitStack()
"""Ends the local Ray of the run, if there is one."""
USED_RAY_AND_FAILED = pytest.StashKey[bool]()


def start_ray() -> None:
    from pipeline.cluster import local_ray

    RAY.enter_context(local_ray(num_cpus=2, num_gpus=0, show_workers=False))


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A local Ray with two CPUs and its dashboard, shared by all tests of the run up to one that fails."""
    with RAY:
        start_ray()
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and "ray_session" in getattr(item, "fixturenames", ()):
        item.config.stash[USED_RAY_AND_FAILED] = True
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start another Ray after a failed test, whose actors may live on and hold CPUs that the next test waits for."""
    if not item.config.stash.get(USED_RAY_AND_FAILED, False):
        return
    import ray

    if ray.is_initialized():
        item.config.stash[USED_RAY_AND_FAILED] = False
        RAY.close()
        start_ray()


@pytest.fixture(scope="session")
def s3_session() -> Iterator[S3Server]:
    """A real S3 API on this machine; every process of the run has its address and credentials in the environment."""
    from tests.s3_server import S3Server

    with S3Server(S3_PORT) as server:
        yield server


@pytest.fixture
def s3(s3_session: S3Server) -> Iterator[S3Server]:
    """The S3 API with an empty bucket, `bucket`, and without faults."""
    s3_session.reset()
    yield s3_session
    s3_session.reset()


@pytest.fixture(scope="session")
def tiny_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 real MP4 files of 2 s in class folders: 24 train, 8 validation, 8 test; each class has a colour and a tone."""
    root = tmp_path_factory.mktemp("tiny_videos")
    for split, per_class in (("train", 6), ("validation", 2), ("test", 2)):
        for label, class_name in enumerate(TINY_CLASSES):
            folder = root / split / class_name
            folder.mkdir(parents=True)
            for index in range(per_class):
                path = folder / f"{split[:5]:-<5}-{label}-{index:03d}_000000_000002.mp4"
                write_tiny_video(path, label=label, seed=index)
                make_unlike(path, split)
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
