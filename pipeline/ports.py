"""Free TCP ports of this machine."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

from preprocessing.errors import ResourceError


def free_port() -> int:
    """A TCP port of this machine that nobody listens at, nor will by accident before it is used.

    It lies below the ports that systems hand out by themselves (from 32768 on Linux, 49152 elsewhere), from which all
    other parts of a starting Ray take theirs.
    """
    ports = list(range(20_000, 32_768))
    random.SystemRandom().shuffle(ports)  # not the seeded generator: runs beside each other must differ
    for port in ports:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise ResourceError("all ports from 20000 to 32767 of 127.0.0.1 are taken; stop what listens there")
