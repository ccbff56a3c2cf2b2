"""Messages between supervisor and decoder process: whole, or refused before anything large is read."""

from __future__ import annotations

import io
import json
import os
import random
import socket
from pathlib import Path
from typing import Any

import pytest

from preprocessing.decoding.protocol import LENGTH, MAX_HEADER_BYTES, ProtocolError, message, receive, receive_with_file


def read_from(data: bytes, *, max_blob_bytes: int = 100) -> tuple[dict[str, Any], list[bytes]]:
    """Receive the message in `data`; asking for more than there is ends it."""
    stream = io.BytesIO(data)

    def read(num_bytes: int) -> bytes:
        assert num_bytes <= MAX_HEADER_BYTES, "a giant allocation"
        part = stream.read(num_bytes)
        if len(part) < num_bytes:
            raise EOFError
        return part

    return receive(read, max_blob_bytes=max_blob_bytes)


def test_a_message_comes_back_as_it_was_sent() -> None:
    header, blobs = {"reason": "no_audio", "numbers": [1.5, 2]}, [b"", b"\0\xff", b"x" * 98]
    assert read_from(message(header, blobs)) == (header, blobs)


def framed(header: bytes) -> bytes:
    return LENGTH.pack(len(header)) + header


NO_MESSAGES = {
    "noise": random.Random(0).randbytes(1000),
    "a giant header": LENGTH.pack(0xFFFFFFFF),
    "a header beyond the limit": LENGTH.pack(MAX_HEADER_BYTES + 1),
    "no JSON": framed(b"not json"),
    "no text": framed(b"\xff\xfe{}"),
    "endless brackets": framed(b"[" * 100_000),
    "an endless number": framed(b"1" * 100_000),
    "no object": framed(b"[]"),
    "no lengths": framed(b"{}"),
    "lengths that are none": framed(b'{"blob_bytes": 3}'),
    "a negative length": framed(b'{"blob_bytes": [-1]}'),
    "a broken length": framed(b'{"blob_bytes": [1.5]}'),
    "a giant blob": framed(json.dumps({"blob_bytes": [1 << 40]}).encode()),
    "many blobs": framed(json.dumps({"blob_bytes": [1] * 101}).encode()),
}


@pytest.mark.parametrize("name", NO_MESSAGES)
def test_what_is_no_message_is_refused_before_it_is_read(name: str) -> None:
    with pytest.raises(ProtocolError):
        read_from(NO_MESSAGES[name])


def test_a_message_that_ends_early_says_so() -> None:
    whole = message({"a": 1}, [b"blob"])
    for end in range(len(whole)):
        with pytest.raises(EOFError):
            read_from(whole[:end])


def test_a_request_brings_its_open_file(tmp_path: Path) -> None:
    (tmp_path / "clip").write_text("the clip")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with (tmp_path / "clip").open("rb") as file:
            socket.send_fds(ours, [message({"suffix": ".mp4"})], [file.fileno()])
        header, descriptor = receive_with_file(theirs)
        with os.fdopen(descriptor) as received:
            assert (header, received.read()) == ({"suffix": ".mp4"}, "the clip")


def test_a_request_without_a_file_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(message({"suffix": ".mp4"}))
        with pytest.raises(ProtocolError, match="without its file"):
            receive_with_file(theirs)


def test_a_closed_socket_is_the_end() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        with pytest.raises(EOFError):
            receive_with_file(theirs)
