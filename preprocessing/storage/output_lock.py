"""The lock of an output folder: one run at a time writes there, and whoever comes second hears who holds it.

The file `.in-use.json` in the folder names the holder. It appears whole and only if there is none, by a hard link,
which NFS keeps exclusive too. Its time is set anew every few seconds: the only sign of life that another machine can
see. A holder that has died on this machine is known by its process, and its lock is taken over at once; one on another
machine by its silence. Who takes over first claims the dead holder's token, so that of several newcomers one removes
the lock, and nobody removes that of another.
"""

from __future__ import annotations

import _thread
import errno
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from preprocessing.errors import PlaceError
from preprocessing.reporting.progress import SECONDS_BETWEEN_LINES, duration
from preprocessing.storage.atomic_file import create_unfinished, write_text_if_absent
from preprocessing.storage.holder import Holder
from preprocessing.storage.places import require_writable

logger = logging.getLogger(__name__)

LOCK_NAME = ".in-use.json"


class OutputInUseError(PlaceError):
    """Another run writes into the folder."""


@dataclass(frozen=True)
class Rhythm:
    """Times of the signs of life, in seconds."""

    between_beats: float = 10.0
    """Between two signs of a holder."""
    to_live: float = 60.0
    """A holder on another machine that is silent for longer is dead."""
    between_looks: float = 1.0
    """Between two looks of whoever waits."""


SOMEBODY = Holder(token="unknown", command="somebody", host="?", pid=0, since="?", machine="?", started="?")
"""The holder that a lock names which cannot be read."""


@contextmanager
def held(output: str, *, command: str, rhythm: Rhythm | None = None) -> Iterator[None]:
    """Hold an output folder inside the block; it is made if need be, and gone again if nothing was written into it.

    A process that holds it already goes on. A URL is held by nobody: no store of objects can tell a dead holder.

    Raises:
        OutputInUseError: if another process holds it, or took it over while this one gave no sign of life.
        PlaceError: if it cannot be written.
    """
    if "://" in output:
        yield
        return
    require_writable(output)
    lock, rhythm = Path(output).absolute() / LOCK_NAME, rhythm or Rhythm()
    made = [each for each in (lock.parent, *lock.parent.parents) if not each.exists()]
    holder = Holder.of_this_process(command)
    if not _take(lock, holder, rhythm):
        yield
        return
    signs = _SignsOfLife(lock, holder, rhythm)
    try:
        with signs.given():
            yield
    except KeyboardInterrupt:
        if signs.taken_over_by:
            raise OutputInUseError(
                f"output='{output}' was taken over by {signs.taken_over_by}, after this process had given no sign of "
                f"life for more than {duration(rhythm.to_live)}"
            ) from None
        raise
    finally:
        _remove(lock, holder, rhythm)
        for folder in made:
            with suppress(OSError):  # something was written into it
                folder.rmdir()


def holder_of(output: str) -> Holder | None:
    """The holder of an output folder; None if nobody holds it."""
    return _read(Path(output) / LOCK_NAME)


def _take(lock: Path, holder: Holder, rhythm: Rhythm) -> bool:
    """Write the lock; False if this process has it already.

    Raises:
        OutputInUseError: if another process has it and is alive.
    """
    while not write_text_if_absent(lock, json.dumps(asdict(holder))):
        other = _read(lock)
        if other is None:  # gone meanwhile
            continue
        if other.is_this_process:
            return False
        if other.is_dead or (not other.is_on_this_machine and _stays_silent(lock, other, rhythm)):
            logger.info("'%s' was held by %s, which has died: taking over", lock.parent, other)
            _remove(lock, other, rhythm)
        elif other.is_on_this_machine:
            raise _in_use(lock, other)
    return True


def _stays_silent(lock: Path, other: Holder, rhythm: Rhythm) -> bool:
    """Watch a holder on another machine; True if it gives no sign of life for long enough, or its lock is gone.

    Raises:
        OutputInUseError: as soon as it gives one.
    """
    try:
        sign = lock.stat().st_mtime_ns
        silence = max(0.0, _time_there(lock) - sign / 1e9)
        began, last_line = time.monotonic() - silence, float("-inf")
        while (silent := time.monotonic() - began) <= rhythm.to_live:
            if time.monotonic() - last_line >= SECONDS_BETWEEN_LINES:
                last_line = time.monotonic()
                logger.info(
                    "'%s' is held by %s; its last sign of life is %s old, waiting for another one until it is %s",
                    *(lock.parent, other, duration(silent), duration(rhythm.to_live)),
                )
            time.sleep(rhythm.between_looks)
            if lock.stat().st_mtime_ns != sign:
                raise _in_use(lock, _read(lock) or other)
    except FileNotFoundError:
        return True
    return True


def _in_use(lock: Path, other: Holder) -> OutputInUseError:
    return OutputInUseError(
        f"output='{lock.parent}' is in use by {other}; wait until that has ended, end it, or choose another output"
    )


def _remove(lock: Path, holder: Holder, rhythm: Rhythm) -> None:
    """Remove the lock if it is that of `holder`; of several that try to, one does."""
    claim = lock.with_name(f"{LOCK_NAME}.{holder.token}")
    try:
        if not write_text_if_absent(claim, ""):
            if _time_there(lock) - claim.stat().st_mtime > rhythm.to_live:
                claim.unlink(missing_ok=True)  # of one that has died over it
            time.sleep(rhythm.between_looks)
            return
        try:
            if (found := _read(lock)) and found.token == holder.token:
                lock.unlink(missing_ok=True)
        finally:
            claim.unlink(missing_ok=True)
    except FileNotFoundError:  # the folder is gone, or the claim meanwhile
        return


class _SignsOfLife:
    """Sets the time of the lock anew, and interrupts the main thread if another process has taken it over."""

    def __init__(self, lock: Path, holder: Holder, rhythm: Rhythm) -> None:
        self.taken_over_by: Holder | None = None
        self._lock = lock
        self._holder = holder
        self._rhythm = rhythm
        self._ended = threading.Event()

    @contextmanager
    def given(self) -> Iterator[None]:
        """Signs are given inside the block, by a thread of their own."""
        thread = threading.Thread(target=self._give, name="signs of life", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(timeout=5)

    def _give(self) -> None:
        while not self._ended.wait(self._rhythm.between_beats):
            try:
                found = _read(self._lock)
                if found is not None and found.token != self._holder.token:
                    self.taken_over_by = found
                    _thread.interrupt_main()
                    return
                os.utime(self._lock)
            except OSError:  # the file system is away, or somebody has removed the folder: both show elsewhere
                continue


def _read(lock: Path) -> Holder | None:
    """The holder that a lock names; None if there is no lock.

    Raises:
        OSError: if it cannot be read.
    """
    try:
        return Holder(**json.loads(lock.read_text()))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):  # the latter: NFS, when it was replaced meanwhile
            return None
        raise
    except (ValueError, TypeError):
        return SOMEBODY


def _time_there(lock: Path) -> float:
    """The time by the clock of the file system's machine, in seconds since 1970."""
    with create_unfinished(lock) as file:
        try:
            return os.fstat(file.fileno()).st_mtime
        finally:
            Path(file.name).unlink(missing_ok=True)
