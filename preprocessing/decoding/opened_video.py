"""A video of any length, seen from outside the decoder process: opened there once, and decoded clip after clip."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from types import TracebackType

from pydantic import Field

from preprocessing.decoding.opening import open_video
from preprocessing.decoding.parent import DecoderProcess, EncodedClip
from preprocessing.settings import Settings


class Length(Settings):
    """The length of a video, by the times of its packets."""

    video_seconds: float = Field(ge=0)
    """Until the last frame leaves the screen."""
    sound_seconds: float = Field(ge=0)
    """Until the sound ends, on the video clock."""


class OpenedVideo(AbstractContextManager["OpenedVideo"]):
    """A video in a decoder process that keeps it open; used as a context, during which the process does nothing else.

    A clip that hangs or crashes the process costs that clip alone: the next one opens the video in another process.

    Raises:
        DecodeError: if no clip of the video could be stored.
    """

    def __init__(self, decoder: DecoderProcess, path: Path, *, root: Path) -> None:
        self._decoder, self._suffix = decoder, path.suffix.lower()
        self._name = str(path)
        self._pid: int | None = None
        with ExitStack() as opened:
            self._file = opened.enter_context(open_video(path, root=root))
            self.length = decoder.again_at_a_crash(self._name, self._open)
            """The length of the video."""
            self._closing = opened.pop_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._closing:
            if self._is_open:
                with suppress(OSError):  # it has ended meanwhile, which the next video finds out
                    self._decoder.tell({"start_seconds": None})

    def decode(self, start_seconds: float | int) -> EncodedClip:
        """Decode and encode the clip from `start_seconds` on the video clock, as `DecoderProcess.decode` does.

        Raises:
            DecodeError: if the clip cannot be stored; `timeout`, `memory` and `crash` are reasons too.
        """

        def once() -> EncodedClip:
            if not self._is_open:
                self._open()
            return self._decoder.ask({"start_seconds": start_seconds}, self._decoder.clip_in)

        return self._decoder.again_at_a_crash(self._name, once)

    @property
    def _is_open(self) -> bool:
        """True while the process that was sent the file still runs."""
        return self._pid is not None and self._pid == self._decoder.pid

    def _open(self) -> Length:
        request = {"suffix": self._suffix, "is_kept": True}
        length = self._decoder.ask(request, lambda header, _: Length.model_validate(header), file=self._file)
        self._pid = self._decoder.pid
        return length
