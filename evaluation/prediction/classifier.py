"""A checkpoint with a decoder beside it: videos of any length in, classes with probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evaluation.prediction.certification import certify, weakest
from evaluation.prediction.config import PredictConfig
from evaluation.prediction.decoding import VideoDecoders
from evaluation.prediction.results import Certificate, VideoPrediction, WindowPrediction, most_probable
from evaluation.prediction.videos import VideoFile
from evaluation.prediction.windows import Window, batch_of
from preprocessing.decoding.acceptance import DecodeError
from preprocessing.decoding.parent import EncodedClip
from preprocessing.errors import ResourceError
from training.batch import Batch
from training.checkpoint import load_identified

T = TypeVar("T")


class VideoClassifier(AbstractContextManager["VideoClassifier"]):
    """Classifies videos, which are decoded in sandboxes meanwhile; used as a context, which ends the decoders.

    Raises:
        CheckpointError: if `checkpoint` is not a checkpoint.
        ResourceError: if a GPU is asked for and there is none.
    """

    def __init__(self, checkpoint: str | Path, config: PredictConfig) -> None:
        self._config = config
        self._device = chosen_device(gpu=config.gpu)
        model, self.info, self.model_sha256 = load_identified(checkpoint)
        self._model = model.to(self._device)
        self._decoders = VideoDecoders(self.info.clip_format, config)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoders.__exit__(kind, error, trace)

    def classify(self, path: Path, *, root: Path, name: str) -> VideoPrediction:
        """The classes of a video, a regular file inside `root`; of one that is refused, the reason."""
        [found] = self.classify_each([VideoFile(name, path, root)])
        return found

    def classify_each(
        self, videos: Iterable[VideoFile], *, tell: Callable[[str], None] = lambda text: None
    ) -> Iterator[VideoPrediction]:
        """The classes of each video in order, or the reason why it has none; `tell` hears how far a long one is."""
        with closing(self._decoders.windows_of(videos)) as decoded:
            for video, windows in decoded:
                tell(f"'{video.name}'")
                try:
                    yield self._prediction(video.name, windows, tell)
                except DecodeError as error:
                    yield refused(video.name, error)

    def probabilities(self, clips: Batch) -> Float[Tensor, "batch classes"]:
        """Probability of each class, on the processor in double precision; NaN where the model's answer is no number.

        Clips are those of the checkpoint's format, on any device.
        """
        clips = clips.to(self._device)
        with torch.inference_mode():
            logits = self._model(clips.video, clips.audio).logits.double()
        logits = torch.where(logits.isfinite().all(1, keepdim=True), logits, torch.nan)
        return torch.softmax(logits, 1).cpu()

    def by_class(self, probabilities: Float[Tensor, " classes"]) -> dict[str, float]:
        """The probabilities of a clip by the names of the classes."""
        return dict(zip(self.info.classes, probabilities.tolist(), strict=True))

    def _prediction(self, name: str, windows: Iterator[Window], tell: Callable[[str], None]) -> VideoPrediction:
        found: list[WindowPrediction] = []
        seconds = 0.0
        for some in in_runs(windows, self._config.batch_size):
            found += self._classified(some)
            seconds = some[0].video_seconds
            tell(f"'{name}': {len(found)} of {some[0].num_windows} windows")
        return averaged(name, seconds, tuple(found))

    def _classified(self, windows: list[Window]) -> list[WindowPrediction]:
        """The windows with their classes, in their order."""
        decoded = [window.clip for window in windows if window.clip is not None]
        found = iter(self._of_clips(decoded) if decoded else ())
        return [refused_window(window) if window.clip is None else next(found) for window in windows]

    def _of_clips(self, decoded: list[EncodedClip]) -> Iterator[WindowPrediction]:
        domain = self._config.threat.audio_domain if self._config.robustness else "logmel"
        clips = batch_of(decoded, self.info.clip_format, audio_domain=domain).to(self._device)
        answers = self.probabilities(clips)
        is_number = answers.isfinite().all(1)
        certificates = self._certificates(clips, answers, is_number)
        for row, (clip, answer) in enumerate(zip(decoded, answers, strict=True)):
            yield WindowPrediction(
                start_seconds=clip.start_seconds,
                end_seconds=clip.end_seconds,
                probabilities=self.by_class(answer) if is_number[row] else {},
                certificate=certificates.get(row),
                reason="" if is_number[row] else "not_finite",
                detail="" if is_number[row] else "the model's answer is not a number",
            )

    def _certificates(
        self, clips: Batch, answers: Float[Tensor, "batch classes"], is_number: Bool[Tensor, " batch"]
    ) -> dict[int, Certificate]:
        """Certificates by row, of the clips that have an answer; none unless they are asked for."""
        rows = is_number.nonzero()[:, 0]
        if not self._config.robustness or not len(rows):
            return {}
        chosen, predicted = clips.select(rows.to(self._device)), answers[rows].argmax(1).to(self._device)
        return dict(zip(rows.tolist(), certify(self._model, chosen, predicted, self._config), strict=True))


def chosen_device(*, gpu: bool | None) -> torch.device:
    """The GPU if there is one, or as `gpu` says.

    Raises:
        ResourceError: if one is asked for and there is none.
    """
    if gpu and not torch.cuda.is_available():
        raise ResourceError("gpu=true, but torch finds no GPU here; leave it out to work on the processor")
    return torch.device("cuda" if gpu or (gpu is None and torch.cuda.is_available()) else "cpu")


def in_runs(items: Iterable[T], length: int) -> Iterator[list[T]]:
    """Items in lists of `length`, the last one shorter."""
    rest = iter(items)
    while run := list(islice(rest, length)):
        yield run


def averaged(name: str, seconds: float, windows: tuple[WindowPrediction, ...]) -> VideoPrediction:
    """The prediction of a video from its windows'; refused for the first one's reason if none has any."""
    classified = [window.probabilities for window in windows if window.probabilities]
    if not classified:
        first = windows[0]
        return VideoPrediction(
            file=name, video_seconds=seconds, windows=windows, reason=first.reason, detail=first.detail
        )
    means = {key: sum(each[key] for each in classified) / len(classified) for key in classified[0]}
    return VideoPrediction(
        file=name,
        class_name=most_probable(means),
        probabilities=means,
        video_seconds=seconds,
        windows=windows,
        certificate=weakest([window.certificate for window in windows if window.certificate]),
    )


def refused(name: str, error: DecodeError) -> VideoPrediction:
    """A video that has no classes, and why."""
    return VideoPrediction(file=name, reason=error.reason, detail=error.detail)


def refused_window(window: Window) -> WindowPrediction:
    """A window that has no classes, and why."""
    assert window.refusal is not None, "a window without a clip has a refusal"
    return WindowPrediction(
        start_seconds=window.start_seconds,
        end_seconds=window.end_seconds,
        reason=window.refusal.reason,
        detail=window.refusal.detail,
    )
