"""Predictions: the classes of a video and of its windows, as lines of text and as rows of a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from preprocessing.reporting.csv_text import csv_text
from preprocessing.settings import Settings

FORMAT_VERSION = 1
"""Of the JSON file, raised when the meaning of its fields changes."""


class Certificate(Settings):
    """The smallest budget with which an attack changed a clip's class: an upper bound of what is really needed."""

    is_broken: bool
    """True if the attack changed the class within the largest budget that was tried."""
    threat: str
    """The rules with the smallest budget that sufficed; where none did, with the largest that was tried."""
    epsilon_video: float = Field(ge=0)
    """Budget of the frames in `threat`, in units of [0, 1] pixels."""
    epsilon_audio: float = Field(ge=0)
    """Budget of the sound in `threat`."""
    attack: str
    """Name of the attack."""

    def __str__(self) -> str:
        return f"broken at {self.threat}" if self.is_broken else f"not broken by {self.attack} up to {self.threat}"


class WindowPrediction(Settings):
    """The classes of one window, or the reason why it has none."""

    start_seconds: float
    """On the video clock, where 0 is the first shown frame."""
    end_seconds: float
    probabilities: dict[str, float] = Field(default_factory=dict)
    """Probability of each class; empty if the window could not be decoded."""
    certificate: Certificate | None = None
    """Present if robustness was asked for."""
    reason: str = ""
    """One word, such as `audio_coverage`; empty if there is a prediction."""
    detail: str = ""

    @property
    def class_name(self) -> str:
        """The most probable class; empty if there is none."""
        return most_probable(self.probabilities)


class VideoPrediction(Settings):
    """The classes of one video, averaged over its windows, or the reason why it has none."""

    file: str
    """The video as it was given, or its path below the folder that was."""
    class_name: str = ""
    """The most probable class; empty if there is none."""
    probabilities: dict[str, float] = Field(default_factory=dict)
    """Probability of each class: the mean over all windows that could be decoded."""
    video_seconds: float | None = None
    """Length of the video."""
    windows: tuple[WindowPrediction, ...] = ()
    """The windows in order of time, those that could not be decoded included."""
    certificate: Certificate | None = None
    """That of the window that breaks first."""
    reason: str = ""
    """One word, such as `no_audio`, `too_short`, `not_media`; empty if there is a prediction."""
    detail: str = ""

    @property
    def num_classified(self) -> int:
        """Windows that could be decoded."""
        return sum(not window.reason for window in self.windows)


def most_probable(probabilities: dict[str, float]) -> str:
    """The class of the largest probability; empty if there is none."""
    return max(probabilities, key=probabilities.__getitem__, default="")


def lines(prediction: VideoPrediction, *, top: int, by_time: bool) -> Iterator[str]:
    """A prediction as text: a line, and with `by_time` one for each of several windows."""
    if prediction.reason:
        yield f"{prediction.file}: no prediction: {prediction.reason}: {prediction.detail}"
        return
    lost = len(prediction.windows) - prediction.num_classified
    seen = f"{prediction.num_classified} of {len(prediction.windows)}" if lost else f"{len(prediction.windows)}"
    windows = f" ({seen} windows)" if len(prediction.windows) > 1 else ""
    said = f"; {prediction.certificate}" if prediction.certificate else ""
    yield f"{prediction.file}: {_classes(prediction.probabilities, top)}{windows}{said}"
    for window in prediction.windows if by_time else ():
        time = f"  {window.start_seconds:.2f} to {window.end_seconds:.2f} s"
        said = f"; {window.certificate}" if window.certificate else ""
        classes = _classes(window.probabilities, top)
        yield (
            f"{time}: no prediction: {window.reason}: {window.detail}" if window.reason else f"{time}: {classes}{said}"
        )


def _classes(probabilities: dict[str, float], top: int) -> str:
    ordered = sorted(probabilities.items(), key=lambda each: -each[1])[:top]
    return ", ".join(f"{name} {100 * probability:.1f} %" for name, probability in ordered)


def table(
    predictions: Sequence[VideoPrediction],
    *,
    kind: Literal[".csv", ".json"],
    classes: Sequence[str],
    origin: dict[str, object],
    by_time: bool,
) -> bytes:
    """The content of a file of predictions; `origin` says by what they were made, and stands in JSON only."""
    if kind == ".csv":
        return _csv(predictions, classes, by_time=by_time)
    hidden = set() if by_time else {"windows"}
    rows = [
        each.model_dump(mode="json", exclude=hidden)
        | {"num_windows": len(each.windows), "num_classified": each.num_classified}
        for each in predictions
    ]
    found = {"format_version": FORMAT_VERSION, **origin, "classes": list(classes), "predictions": rows}
    return (json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _csv(predictions: Sequence[VideoPrediction], classes: Sequence[str], *, by_time: bool) -> bytes:
    """A row per video; with `by_time` one per window in their place, and one for a video without any."""
    columns = ["file", "start_seconds", "end_seconds", "class", "probability", "windows", "reason", "detail"]
    columns += ["is_broken", "epsilon_video", "epsilon_audio", *(f"probability of {name}" for name in classes)]
    rows: list[list[object]] = [[*columns]]
    for each in predictions:
        if by_time and each.windows:
            rows.extend(
                _row(each.file, window, window.start_seconds, window.end_seconds, 1, classes) for window in each.windows
            )
        else:
            rows.append(_row(each.file, each, 0.0, each.video_seconds, each.num_classified, classes))
    return csv_text(rows).encode("utf-8", "backslashreplace")


def _row(
    file: str,
    found: VideoPrediction | WindowPrediction,
    start_seconds: float,
    end_seconds: float | None,
    num_windows: int,
    classes: Sequence[str],
) -> list[object]:
    probability = found.probabilities.get(found.class_name)
    broken = found.certificate
    return [
        *(file, start_seconds if end_seconds is not None else None, end_seconds, found.class_name, probability),
        *(num_windows, found.reason, found.detail),
        *((broken.is_broken, broken.epsilon_video, broken.epsilon_audio) if broken else (None, None, None)),
        *(found.probabilities.get(name) for name in classes),
    ]
