"""Videos decoded side by side, each window after window, ahead of whoever classifies them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType

from evaluation.prediction.config import PredictConfig
from evaluation.prediction.prefetch import Prefetched
from evaluation.prediction.videos import VideoFile
from evaluation.prediction.windows import Window, decoded_windows
from preprocessing.decoding.parent import DecoderProcess
from preprocessing.schema import ClipFormat

_Begun = tuple[VideoFile, DecoderProcess, Prefetched[Window]]
"""A video, the process that decodes it, and its windows."""


class VideoDecoders(AbstractContextManager["VideoDecoders"]):
    """Decoder processes, each for one video at a time; used as a context, which ends them.

    The windows that lie ready are bounded: `batch_size` of each video that is being decoded.
    """

    def __init__(self, clip_format: ClipFormat, config: PredictConfig) -> None:
        self._options = config.rules.decode_options(clip_format).at_given_starts()
        self._hop_seconds = config.hop_seconds or clip_format.clip_seconds
        self._depth = config.batch_size
        count = config.decoders or os.cpu_count() or 1
        self._idle = [DecoderProcess(self._options, config.limits.process_limits) for _ in range(count)]
        self._closing = ExitStack()
        for decoder in self._idle:
            self._closing.push(decoder)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def windows_of(self, videos: Iterable[VideoFile]) -> Generator[tuple[VideoFile, Iterator[Window]], None, None]:
        """Each video with its windows, in order; as many of the next ones are begun as there are decoders.

        The windows of a video are to be taken before the next video is. A video that is refused raises DecodeError in
        the place of its first window.
        """
        rest = iter(videos)
        begun: deque[_Begun] = deque()
        try:
            while self._begin(rest, begun):
                video, _, windows = begun[0]
                yield video, windows
                self._end(begun)
        finally:
            while begun:
                self._end(begun)

    def _begin(self, videos: Iterator[VideoFile], begun: deque[_Begun]) -> bool:
        """Give each idle decoder one of the next videos; true if there is any to classify."""
        while self._idle and (video := next(videos, None)) is not None:
            decoder = self._idle.pop()
            begun.append((video, decoder, Prefetched(self._decoded(video, decoder), depth=self._depth)))
        return bool(begun)

    def _end(self, begun: deque[_Begun]) -> None:
        """Take back the decoder of the first video."""
        _, decoder, windows = begun.popleft()
        with windows:
            self._idle.append(decoder)

    def _decoded(self, video: VideoFile, decoder: DecoderProcess) -> Generator[Window, None, None]:
        with video.opened() as (path, root):
            yield from decoded_windows(decoder, path, self._options, root=root, hop_seconds=self._hop_seconds)
