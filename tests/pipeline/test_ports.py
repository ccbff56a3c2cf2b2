from __future__ import annotations

import socket

from pipeline.ports import free_port


def test_a_free_port_is_none_that_a_system_hands_out_by_itself() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 10
    assert all(20_000 <= port < 32_768 for port in ports)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.pop()))
