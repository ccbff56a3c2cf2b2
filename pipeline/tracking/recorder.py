"""The thread of a command's driver that brings MLflow up to date with what is stored, however long MLflow is away.

Nobody hands it anything: it reads the output folder, which is there after a `kill -9` of any process as well. What
MLflow holds already is asked for whenever a call has failed, so nothing is sent twice. Nobody waits for it but the
driver, at the start and at the end, and for a limited time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from pipeline.tracking.address import StoreAddress, store_address
from pipeline.tracking.choice import Tracking
from pipeline.tracking.mirror import Mirror
from pipeline.tracking.mlflow_runs import Run, load_mlflow
from pipeline.tracking.opening import reason
from pipeline.tracking.record import RunRecord, Status
from preprocessing.errors import ResourceError, UserError
from preprocessing.reporting.heartbeat import heartbeat

logger = logging.getLogger(__name__)

Read = Callable[[Status], Sequence[RunRecord]]
"""Gives the records as they stand on disk, parents first, for a command in this state."""

POLL_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
"""Between two tries of a store that is away; the first pause is `POLL_SECONDS`, and each is twice the one before."""
SECONDS_TO_OPEN = 15.0
"""A server that has not taken a run by then is away; databases, which may have to be made, get `SECONDS_TO_MIGRATE`."""
SECONDS_TO_MIGRATE = 120.0
SECONDS_TO_END = 15.0
"""After its end a command goes on trying to send what is missing; an interrupted one for `SECONDS_TO_STOP`."""
SECONDS_TO_STOP = 5.0
SECONDS_TO_UPLOAD = 600.0
"""An upload that is under way at the end and does not fail may take so long."""


class Recorder:
    """Keeps the records of one command in MLflow, from a thread of its own."""

    def __init__(self, address: StoreAddress, read: Read, *, output: str) -> None:
        self.address = address
        self._read = read
        self._output = output
        self._status: Status = "RUNNING"
        self._deadline = 0.0
        self._wake = threading.Event()
        self._done = threading.Event()
        self._begun: Future[Run] = Future()
        self._is_required = True
        self._page = ""
        self._reason = ""
        self._mirror = Mirror(address, self._opened)
        self._thread = threading.Thread(target=self._follow, name="mlflow", daemon=True)

    def begin(self, tracking: Tracking) -> None:
        """Start to record; returns when the first run is there, or if `tracking` is optional at once.

        Raises:
            PlaceError, ResourceError: if it is required, and the store cannot be opened and written.
        """
        load_mlflow()  # its seconds are not the store's
        self._is_required = tracking == "required"
        self._thread.start()
        if not self._is_required:
            return
        limit = SECONDS_TO_OPEN if self.address.is_a_server else SECONDS_TO_MIGRATE
        try:
            self._begun.result(limit)
        except BaseException as error:
            self._done.set()
            if isinstance(error, UserError) or not isinstance(error, Exception):
                raise
            said = f"no answer in {limit:.0f} s" if isinstance(error, TimeoutError) else self._told(error)
            raise ResourceError(
                f"MLflow's store '{self.address}' cannot be used: {said}. Mend it, set MLFLOW_TRACKING_URI to another "
                "one, or begin without it by --tracking optional (sent when it is back) or --tracking off"
            ) from None

    def end(self, status: Status) -> None:
        """Record the end, and wait a limited time until everything is sent; what is not is told."""
        seconds = SECONDS_TO_STOP if status == "KILLED" else SECONDS_TO_END
        self._deadline = time.monotonic() + seconds
        self._status = status
        self._wake.set()
        self._done.wait(seconds if status == "KILLED" else SECONDS_TO_UPLOAD)
        self._done.set()
        if missing := self.missing():
            logger.warning(
                "MLflow's store '%s' has not got: %s (%s). It is safe in '%s': the same command sends it",
                self.address,
                "; ".join(missing),
                self._reason or "it is slow",
                self._output,
            )

    def page(self) -> str:
        """The way to look at the first run; empty as long as MLflow has none."""
        return self._page

    def missing(self) -> list[str]:
        """The things that the store has not got yet, a text per run."""
        return self._mirror.missing(self._read(self._status))

    def _follow(self) -> None:
        pause = POLL_SECONDS
        while not self._done.is_set():
            is_last = self._status != "RUNNING"
            try:
                self._bring_up_to_date()
                pause = POLL_SECONDS
            except Exception as error:  # of whatever kind: bookkeeping never stops work
                self._note_outage(error)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                is_last = is_last and time.monotonic() > self._deadline
            if is_last:
                self._done.set()
            elif self._status == "RUNNING":
                self._wake.wait(pause)
            else:
                self._done.wait(POLL_SECONDS)

    def _bring_up_to_date(self) -> None:
        self._mirror.update(self._read(self._status), is_over=self._done.is_set)
        if self._reason:
            logger.info("MLflow's store '%s' is back and has got everything", self.address)
            self._reason = ""

    def _opened(self, run: Run) -> None:
        """Tell the page of the first run."""
        if not self._begun.done():
            self._begun.set_result(run)
        if not self._page:
            self._page = self.address.page(run.store.experiment_id, run.run_id)
            logger.info("MLflow: %s", self._page)

    def _note_outage(self, error: Exception) -> None:
        """Say once that the store is away."""
        is_first, self._reason = not self._reason, self._told(error)
        if not self._begun.done():
            self._begun.set_exception(error)
            if self._is_required:
                self._done.set()  # `begin` tells it
        if is_first and self._status == "RUNNING" and not self._done.is_set():
            logger.warning(
                "MLflow's store '%s' is away: %s. Work goes on; what it misses is in '%s' and is sent when it is back",
                self.address,
                self._reason,
                self._output,
            )

    def _told(self, error: Exception) -> str:
        return self.address.clean(reason(error))


@contextmanager
def recorded(read: Read, *, output: str, tracking: Tracking = "required") -> Iterator[Callable[[], str]]:
    """Keep what `read` finds in MLflow while the block works, and record how the block ends.

    Gives what tells the way to look at the run, `Recorder.page`.

    A new run whose job was refused (`UserError`) before its first point leaves nothing.

    Raises:
        UserError: before the block, if MLflow is required and cannot be used.
    """
    if tracking == "off":
        yield str
        return
    recorder = Recorder(store_address(output), read, output=output)
    with heartbeat(lambda: f"waiting for MLflow's store '{recorder.address}'"):
        recorder.begin(tracking)
    status: Status = "FAILED"
    try:
        yield recorder.page
        status = "FINISHED"
    except UserError:
        status = "REFUSED"
        raise
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        with heartbeat(lambda: f"sending to MLflow's store '{recorder.address}'"):
            recorder.end(status)
