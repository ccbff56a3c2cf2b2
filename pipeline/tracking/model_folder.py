"""A checkpoint as a model of MLflow that needs nothing but itself: weights, code, pinned packages, an example."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from packaging.version import Version

from evaluation.perceptibility.movies import encode_movie, platform_coding
from preprocessing.schema import ClipFormat
from training.checkpoint import copy_for_use, load_info

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

ROOT = Path(__file__).resolve().parents[2]
CODE = ("pipeline", "preprocessing", "training", "evaluation")
"""Packages that travel with a model: none is fetched by its name, which anybody could register."""
PACKAGES = (
    *("av", "ffmpeg-python", "fsspec", "imageio-ffmpeg", "jaxtyping", "mlflow", "numpy", "packaging", "pandas"),
    *("pyarrow", "pydantic", "pyyaml", "safetensors", "scipy", "simplejpeg", "tenacity", "torch", "torchaudio"),
    *("torchvision", "webdataset"),
)
"""Packages of others that the code needs to classify videos."""
EXAMPLE_SIZE = (48, 64)
"""Height and width."""
EXAMPLE_CODING = platform_coding(crf=23, aac_kbps=64)


def save_served_model(checkpoint: Path, folder: Path) -> None:
    """Write a model that `mlflow.pyfunc.load_model` loads without pickle, in a process that lacks this project.

    Raises:
        CheckpointError: if `checkpoint` is none.
    """
    clip_format = load_info(checkpoint).clip_format
    with TemporaryDirectory() as staging, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*type hint", UserWarning)  # MLflow's about its own modules
        warnings.filterwarnings("ignore", "Operation with range", DeprecationWarning)  # pandas's about MLflow
        import mlflow.pyfunc
        import pandas as pd

        bare = Path(staging) / "checkpoint"
        copy_for_use(checkpoint, bare)
        mlflow.pyfunc.save_model(
            folder,
            loader_module="pipeline.served_model",
            data_path=str(bare),
            code_paths=[str(ROOT / name) for name in CODE],
            pip_requirements=list(pinned(PACKAGES)),
            signature=served_signature(),
            input_example=pd.DataFrame({"bytes": [example_video(clip_format)]}),
        )


def pinned(packages: tuple[str, ...]) -> tuple[str, ...]:
    """The packages with the exact versions that are installed here, without what marks a local build."""
    return tuple(f"{name}=={Version(version(name)).public}" for name in packages)


def served_signature() -> ModelSignature:
    """The columns of a request and of its answer, see `pipeline.served_model`."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, Map, Schema, TensorSpec

    arrays = AnyType()  # type: ignore[no-untyped-call]  # checked by the model: as nested lists, MLflow takes minutes
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "path", required=False),
        ColSpec(DataType.binary, "bytes", required=False),
        ColSpec(arrays, "video", required=False),
        ColSpec(arrays, "audio", required=False),
    ]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "class"),
        ColSpec(DataType.double, "probability"),
        ColSpec(Map(DataType.double), "probabilities"),
    ]
    return ModelSignature(Schema(inputs), Schema(outputs))


def example_video(clip_format: ClipFormat) -> bytes:
    """An MP4 file of one clip's length with grey pictures and silence, a few KiB."""
    frames = np.full((clip_format.num_segments, *EXAMPLE_SIZE, 3), 128, np.uint8)
    silence = np.zeros(round(clip_format.clip_seconds * clip_format.sample_rate_hz), np.float32)
    return encode_movie(frames, silence, EXAMPLE_CODING, clip_format)
