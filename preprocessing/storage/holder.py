"""The process that holds an output folder: who it is, and whether it lives."""

from __future__ import annotations

import os
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Holder:
    """A process that holds an output folder."""

    token: str
    """Names this holding, and no other one."""
    command: str
    host: str
    pid: int
    since: str
    """The time at which it took the folder, UTC."""
    machine: str
    """Names the machine since its start, and the container: where `pid` means something."""
    started: str
    """The start of the process; another process that has got the same number later has another one."""

    @staticmethod
    def of_this_process(command: str) -> Holder:
        """A new holding by this process."""
        return Holder(
            token=uuid.uuid4().hex,
            command=command,
            host=socket.gethostname(),
            pid=os.getpid(),
            since=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            machine=_this_machine(),
            started=_start_of(os.getpid()) or "",
        )

    @property
    def is_this_process(self) -> bool:
        """True if this process holds the folder already."""
        return self.is_on_this_machine and self.pid == os.getpid() and self.started == (_start_of(self.pid) or "")

    @property
    def is_on_this_machine(self) -> bool:
        """True if its process can be looked up here."""
        return self.machine == _this_machine()

    @property
    def is_dead(self) -> bool:
        """True if it was a process of this machine and is no more."""
        return self.is_on_this_machine and _start_of(self.pid) != self.started

    def __str__(self) -> str:
        """The holder in words: `train in process 123 on node-a, since 2026-01-31 09:00:00 UTC`."""
        return f"{self.command} in process {self.pid} on {self.host}, since {self.since}"


def _this_machine() -> str:
    """Names what numbers of processes are told apart by: this machine since its start, and the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return socket.gethostname()


def _start_of(pid: int) -> str | None:
    """The start of a process of this machine, in ticks since the machine's; None if there is none that runs."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_elsewhere(pid)
    return None if state in ("Z", "X") else fields[18]


def _start_elsewhere(pid: int) -> str | None:
    """The same on systems that do not tell the start: empty if there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""
