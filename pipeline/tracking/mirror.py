"""MLflow's copy of the records of a command: what it holds, what it lacks, and the sending of the difference."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.tracking.address import StoreAddress
from pipeline.tracking.mlflow_runs import Run, TrackingStore
from pipeline.tracking.opening import open_store
from pipeline.tracking.record import RunRecord, content_sha256
from pipeline.tracking.registry import Registration


@dataclass
class _Copy:
    """A run in MLflow and what it is known to hold."""

    run: Run
    known: set[tuple[int, float]]
    """Steps that were there when it was opened, each with the number by which it is recognised."""
    points: set[int]
    """Steps of the record that are there."""
    contents: dict[str, str]
    """SHA-256 by name of a file."""
    status: str
    registration: Registration | None = None
    """By which its model was registered from here."""


class Mirror:
    """The runs of a store that copy records; brought up to date as often as one likes."""

    def __init__(self, address: StoreAddress, opened: Callable[[Run], None]) -> None:
        """`opened` hears of every run that is found or made, when its settings are there."""
        self._address = address
        self._opened = opened
        self._store: TrackingStore | None = None
        self._copies: dict[str, _Copy] = {}
        self._doubted: set[str] = set()
        self._times: dict[tuple[str, int], int] = {}
        self._hashes: dict[Path, tuple[tuple[int, int], str]] = {}

    def update(self, records: Sequence[RunRecord], *, is_over: Callable[[], bool]) -> None:
        """Send what the store lacks, record by record until `is_over`.

        Raises:
            Exception: of whatever kind, if the store does not take it. What it holds is then asked for the next time.
        """
        for time_of in ((record.key, step) for record in records for step in record.points):
            self._times.setdefault(time_of, round(time.time() * 1000))
        try:
            self._store = self._store or open_store(self._address)
            for record in records:
                if is_over():
                    return
                self._send(record, self._store)
        except Exception:
            self._doubted.update(self._copies)  # a call may have arrived whose answer has not
            raise

    def missing(self, records: Sequence[RunRecord]) -> list[str]:
        """The difference that is still to be sent, a text per run."""
        found = []
        for record in records:
            copy = self._copies.get(record.key)
            steps = [step for step in record.points if copy is None or step not in copy.points]
            parts = [f"{len(steps)} of its points"] if steps else []
            parts += [
                path.name for path in record.files if copy is None or copy.contents.get(path.name) != self._hash(path)
            ]
            registered = copy.registration if copy else None
            parts += [] if registered == record.registration else ["its place among the models"]
            parts += [] if copy and copy.status == record.status else ["its state"]
            if parts:
                found.append(f"of '{record.name}' {', '.join(parts)}")
        return found

    def _send(self, record: RunRecord, store: TrackingStore) -> None:
        if record.key not in self._copies or record.key in self._doubted:
            self._copies[record.key] = self._look_up(record, store)
            self._doubted.discard(record.key)
        copy = self._copies[record.key]
        for step, numbers in record.points.items():
            if step in copy.points:
                continue
            if (step, numbers[record.recognised_by]) not in copy.known:
                copy.run.log_metrics(numbers, step=step, milliseconds=self._times[record.key, step])
            copy.points.add(step)
        for path, name in record.files.items():
            content = self._hash(path)
            if copy.contents.get(path.name) != content:
                copy.run.log_files(path, name=name, sha256=content)
                copy.contents[path.name] = content
        if record.registration and record.registration != copy.registration:
            copy.run.register(record.registration)
            copy.registration = record.registration
        if record.status == "REFUSED" and copy.run.is_new and not record.points:
            copy.run.delete()
        elif record.status != copy.status:
            copy.run.set_status("FAILED" if record.status == "REFUSED" else record.status)
        copy.status = record.status

    def _look_up(self, record: RunRecord, store: TrackingStore) -> _Copy:
        """Open the run, and ask what it holds."""
        parent = self._copies[record.parent].run if record.parent else None
        run = store.open_run(record.key, name=record.name, parent=parent)
        before = self._copies.get(record.key)
        if before and before.run == run:
            run = before.run  # which knows whether it is new
        run.log_settings(record.settings)
        run.log_source()
        if record.data:
            run.log_data(record.data)
        self._opened(run)
        held = run.held()
        return _Copy(run, run.points(record.recognised_by), set(), dict(held.contents), held.status)

    def _hash(self, path: Path) -> str:
        """The hash of a file's or folder's content, taken again when it is replaced."""
        found = path.stat()
        stamp = (found.st_mtime_ns, found.st_ino)
        if path not in self._hashes or self._hashes[path][0] != stamp:
            self._hashes[path] = (stamp, content_sha256(path))
        return self._hashes[path][1]
