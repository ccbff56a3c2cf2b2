"""A checkpoint behind MLflow's generic model interface (its loader module): a video or arrays in, class names out."""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException

from evaluation.prediction.classifier import VideoClassifier
from evaluation.prediction.config import PredictConfig
from evaluation.prediction.export import input_shapes
from evaluation.prediction.results import VideoPrediction, most_probable
from training.batch import MODALITIES, Batch, Modality

PATH, BYTES = "path", "bytes"
INPUTS = (PATH, BYTES, *MODALITIES)
"""Columns of a request: a row has a path, or the bytes of a file, or the arrays of one clip."""
VIDEOS_VARIABLE = "ROBUST_AV_VIDEOS"
"""The folder below which a server may read the paths that it is sent; unset = it reads none."""
SERVING_VARIABLE = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
"""The variable by which MLflow says that requests come from elsewhere."""
REMEDY = "give path, or bytes (base64 in JSON), or video and audio"


class ServedModel:
    """A classifier of videos and clips, for requests that may come from anybody."""

    def __init__(self, checkpoint: str) -> None:
        self._classifier = VideoClassifier(checkpoint, PredictConfig())
        weakref.finalize(self, self._classifier.__exit__, None, None, None)  # MLflow closes no model, it drops it
        self._lock = threading.Lock()  # a server calls from many threads, and there is one decoder
        self._shapes = input_shapes(self._classifier.info.clip_format)

    def predict(self, clips: pd.DataFrame | Mapping[str, Any]) -> list[dict[str, object]]:
        """The classes of each row: `{"class": name, "probability": p, "probabilities": {name: p, ...}}`.

        Args:
            clips: columns `path` (of a video on this machine), or `bytes` (of a video's file), or `video` and `audio`:
                frames `[T, 3, H, W]` and log-mel patches `[T, M, S]` in [0, 1], in any type of number.

        Raises:
            MlflowException: a request is wrong (status 400): it says which row, what, and what is allowed.
        """
        rows = rows_of(clips)
        with self._lock:
            return [self._answer(row, number) for number, row in enumerate(rows)]

    def _answer(self, row: Mapping[str, Any], number: int) -> dict[str, object]:
        match sorted(row):
            case [name] if name == PATH:
                found = self._of_path(row[PATH], number)
            case [name] if name == BYTES:
                found = self._of_bytes(row[BYTES], number)
            case names if names == sorted(MODALITIES):
                return self._of_arrays(row, number)
            case names:
                raise wrong(number, f"has {' and '.join(names) or 'no input'}; {REMEDY}")
        if found.reason:
            raise wrong(number, f"cannot be classified: {found.reason}: {found.detail}")
        return answer(found.probabilities)

    def _of_path(self, given: object, number: int) -> VideoPrediction:
        if not isinstance(given, str) or "://" in given:
            raise wrong(number, f"path is {given!r}; allowed: the path of a file on the server's machine")
        path, root = Path(os.path.realpath(given)), Path(os.path.realpath(given)).parent
        if os.environ.get(SERVING_VARIABLE) == "true":
            allowed = os.environ.get(VIDEOS_VARIABLE)
            if not allowed:
                raise wrong(
                    number, f"path: this server reads no files; it does below the folder that {VIDEOS_VARIABLE} names"
                )
            root = Path(os.path.realpath(allowed))
            path = Path(os.path.realpath(root / given))
            if not path.is_relative_to(root):
                raise wrong(number, f"path: '{given}' lies outside the folder that {VIDEOS_VARIABLE} names")
        return self._classifier.classify(path, root=root, name=given)

    def _of_bytes(self, given: object, number: int) -> VideoPrediction:
        if isinstance(given, str):
            try:
                given = base64.b64decode(given, validate=True)
            except (binascii.Error, ValueError) as error:
                raise wrong(number, f"bytes is no base64: {error}") from error
        if not isinstance(given, bytes | bytearray):
            raise wrong(number, f"bytes is a {type(given).__name__}; allowed: the bytes of a video's file")
        with tempfile.TemporaryDirectory(prefix="served-") as folder:
            path = Path(folder) / "video"
            path.write_bytes(given)
            return self._classifier.classify(path, root=path.parent, name="bytes")

    def _of_arrays(self, row: Mapping[str, Any], number: int) -> dict[str, object]:
        streams = {name: self._stream(name, row[name], number) for name in MODALITIES}
        clip = Batch(streams["video"], streams["audio"], torch.zeros(1, dtype=torch.long), (str(number),))
        [probabilities] = self._classifier.probabilities(clip)
        if not bool(probabilities.isfinite().all()):
            raise wrong(number, "cannot be classified: the model's answer is not a number")
        return answer(self._classifier.by_class(probabilities))

    def _stream(self, name: Modality, given: object, number: int) -> torch.Tensor:
        """One clip's frames or patches `[1, ...]` in single precision, checked."""
        try:
            values = np.asarray(given, np.float32)
        except (TypeError, ValueError) as error:
            raise wrong(number, f"{name} is no array of numbers: {error}") from error
        wanted = self._shapes[name]
        if values.shape != wanted:
            raise wrong(number, f"{name} has shape {list(values.shape)}; allowed: {list(wanted)}")
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):
            raise wrong(number, f"{name} lies in [{low:g}, {high:g}]; allowed: [0, 1]")
        return torch.from_numpy(values)[None]


def rows_of(clips: pd.DataFrame | Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a request, each with the inputs that it has.

    Several paths in one place, as MLflow hands on `{"path": ["a.mp4", "b.mp4"]}`, are rows of their own.
    """
    frame = clips if isinstance(clips, pd.DataFrame) else pd.DataFrame({name: list(clips[name]) for name in clips})
    rows: list[dict[str, Any]] = []
    for record in frame.to_dict("records"):
        row = {str(name): value for name, value in record.items() if name in INPUTS and not is_missing(value)}
        paths = row.get(PATH)
        rows += [row | {PATH: each} for each in paths] if isinstance(paths, list | tuple) else [row]
    if not rows:
        raise MlflowException.invalid_parameter_value(f"the request has no rows; {REMEDY}")
    return rows


def is_missing(value: object) -> bool:
    """True for what a table holds where there is nothing."""
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def answer(probabilities: Mapping[str, float]) -> dict[str, object]:
    """The answer to a row."""
    best = most_probable(dict(probabilities))
    return {"class": best, "probability": probabilities[best], "probabilities": dict(probabilities)}


def wrong(row: int, problem: str) -> MlflowException:
    """The error of a row that cannot be answered, a mistake of who sent it."""
    error: MlflowException = MlflowException.invalid_parameter_value(f"row {row} {problem}")
    return error


def _load_pyfunc(path: str) -> ServedModel:
    """The entry point that MLflow calls with the folder of the stored checkpoint."""
    return ServedModel(path)
