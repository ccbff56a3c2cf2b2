"""Sees what is read and who is reached while something runs: Linux's inotify on folders, and a listening socket."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

IN_ACCESS, IN_OPEN, IN_ISDIR = 0x1, 0x20, 0x40000000
EVENT = struct.Struct("iIII")


class Watch:
    """Names of the files in some folders that any process opens or reads."""

    def __init__(self, folders: Sequence[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder in folders:
            if libc.inotify_add_watch(self._descriptor, os.fsencode(folder), IN_OPEN | IN_ACCESS) < 0:
                raise OSError(ctypes.get_errno(), "cannot watch", str(folder))

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def names(self) -> set[str]:
        """The files that were opened or read since the last call; folders are not counted."""
        found: set[str] = set()
        while True:
            try:
                data = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return found
            while data:
                _, kind, _, length = EVENT.unpack_from(data)
                name = data[EVENT.size : EVENT.size + length].rstrip(b"\0")
                if not kind & IN_ISDIR:
                    found.add(os.fsdecode(name))
                data = data[EVENT.size + length :]


class Listener:
    """A port of this machine that counts who connects."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def num_connections(self) -> int:
        """Connections since the last call."""
        count = 0
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return count
            connection.close()
            count += 1
