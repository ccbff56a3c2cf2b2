"""The protocol between supervisor and decoder process: messages over one socket, and the file of a clip beside them.

Standard library only: the decoder process starts often. Lengths are checked before anything is read, because a decoder
that a hostile file has broken may say anything.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

LENGTH = struct.Struct("<I")
MAX_HEADER_BYTES = 1 << 20
"""A header lists a few numbers per segment: thousands of segments fit."""


@dataclass(frozen=True)
class ProcessLimits:
    """Most that one clip may cost."""

    clip_seconds: float
    memory_mib: int


class ProtocolError(ValueError):
    """The other side sent something that is no message."""


def message(header: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """A message: the length of a JSON header, the header, and the blobs whose lengths the header lists."""
    text = json.dumps(header | {"blob_bytes": [len(blob) for blob in blobs]}).encode()
    return b"".join([LENGTH.pack(len(text)), text, *blobs])


def receive(read: Callable[[int], bytes], *, max_blob_bytes: int = 0) -> tuple[dict[str, Any], list[bytes]]:
    """The next message; `read(n)` gives exactly n bytes or raises EOFError.

    Raises:
        ProtocolError: if a length is beyond `MAX_HEADER_BYTES`, or `max_blob_bytes` for all blobs together, or the
            header is no JSON object.
    """
    (header_bytes,) = LENGTH.unpack(read(LENGTH.size))
    if header_bytes > MAX_HEADER_BYTES:
        raise ProtocolError(f"a header of {header_bytes:,} bytes, {MAX_HEADER_BYTES:,} allowed")
    try:
        header = json.loads(read(header_bytes))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a header that is no JSON: {error}") from error
    lengths = header.pop("blob_bytes", None) if isinstance(header, dict) else None
    if not isinstance(lengths, list) or not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise ProtocolError("a header without the lengths of its blobs")
    if sum(lengths) > max_blob_bytes:
        raise ProtocolError(f"blobs of {sum(lengths):,} bytes, {max_blob_bytes:,} allowed")
    return header, [read(length) for length in lengths]


def receive_with_file(channel: socket.socket) -> tuple[dict[str, Any], int]:
    """The next message, which comes with one open file, and that file's descriptor.

    Raises:
        EOFError: if the other side has closed the socket.
        ProtocolError: if no file comes with it.
    """
    # The descriptor travels with the first bytes, and `send_fds` sends a request at once.
    start, descriptors, _, _ = socket.recv_fds(channel, LENGTH.size, 1)
    if start and not descriptors:
        raise ProtocolError("a request without its file")

    def read(num_bytes: int) -> bytes:
        nonlocal start
        data, start = start[:num_bytes], start[num_bytes:]
        data += channel.recv(num_bytes - len(data), socket.MSG_WAITALL) if len(data) < num_bytes else b""
        if len(data) < num_bytes:
            raise EOFError
        return data

    header, _ = receive(read)
    return header, descriptors[0]
