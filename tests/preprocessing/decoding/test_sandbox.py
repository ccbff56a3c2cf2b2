"""A confined process: whatever it tries fails, and what the system cannot forbid is said."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from preprocessing.decoding import sandbox
from preprocessing.decoding.sandbox import AUDIT_ARCHITECTURES, FORBIDDEN_CALLS, filter_program

FILES, CALLS = "opening files", "the network and starting processes"

ATTEMPTS: dict[str, tuple[str, str]] = {
    "read a file": ("open('/etc/passwd').read()", FILES),
    "write a file": ("open('new', 'w')", FILES),
    "append to a file": ("open('old', 'a')", FILES),
    "shorten a file": ("os.truncate('old', 0)", FILES),
    "remove a file": ("os.remove('old')", FILES),
    "rename a file": ("os.rename('old', 'older')", FILES),
    "make a link": ("os.symlink('old', 'link')", FILES),
    "make a folder": ("os.mkdir('folder')", FILES),
    "list a folder": ("os.listdir('.')", FILES),
    "open a TCP socket": ("socket.socket()", CALLS),
    "open a UDP socket": ("socket.socket(type=socket.SOCK_DGRAM)", CALLS),
    "open a local socket": ("socket.socket(socket.AF_UNIX)", CALLS),
    "become another program": ("os.execv(sys.executable, ['python', '-c', 'print(\"done\")'])", CALLS),
    "start a process": ("os.fork() or os._exit(0)", CALLS),
    "run a command": ("subprocess.run(['true'], close_fds=False)", CALLS),
    "signal its parent": ("os.kill(os.getppid(), 0)", CALLS),
}

PROGRAM = """
import mmap, os, socket, subprocess, sys, threading
from preprocessing.decoding.sandbox import confine
missing = confine(address_space_mib=4096, log_bytes=1000) if {confined} else []
try:
    {attempt}
except (OSError, RuntimeError) as error:
    print("refused", missing)
else:
    print("done", missing)
"""


def run(program: str, folder: Path) -> str:
    """What a Python program prints that runs in `folder`."""
    environment = os.environ | {"PYTHONPATH": str(Path(sandbox.__file__).parents[2])}
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, timeout=60, stdout=subprocess.PIPE)
    return done.stdout.decode()


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_is_possible_before_is_refused_after(attempt: str, tmp_path: Path) -> None:
    code, protection = ATTEMPTS[attempt]
    (tmp_path / "old").write_text("old")
    printed = run(PROGRAM.format(confined=True, attempt=code), tmp_path)
    # A system that cannot forbid it must say so.
    assert printed.startswith("refused") or protection in printed
    assert (tmp_path / "old").read_text() == "old" or protection in printed
    assert run(PROGRAM.format(confined=False, attempt=code), tmp_path).startswith("done")


def test_one_more_descriptor_can_be_had_and_no_second_one(tmp_path: Path) -> None:
    attempts = "clip = os.dup(0); print('first'); os.dup(0)"
    assert run(PROGRAM.format(confined=True, attempt=attempts), tmp_path).startswith("first\nrefused")


def test_memory_is_bounded(tmp_path: Path) -> None:
    attempt = "held = mmap.mmap(-1, 3 << 30); print('first'); mmap.mmap(-1, 3 << 30)"
    assert run(PROGRAM.format(confined=True, attempt=attempt), tmp_path).startswith("first\nrefused")


def test_a_flood_of_output_ends_at_its_limit(tmp_path: Path) -> None:
    flood = "[os.write(2, bytes(100)) for _ in range(1000)]"
    program = PROGRAM.format(confined=True, attempt=flood)
    with (tmp_path / "log").open("wb") as log:
        environment = os.environ | {"PYTHONPATH": str(Path(sandbox.__file__).parents[2])}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60, stderr=log)
    assert (tmp_path / "log").stat().st_size == 1000


def test_threads_can_be_started(tmp_path: Path) -> None:
    """libswscale starts some when it computes a table of colours."""
    attempt = "thread = threading.Thread(target=int); thread.start(); thread.join()"
    assert run(PROGRAM.format(confined=True, attempt=attempt), tmp_path).startswith("done")


def answer(program: bytes, *, architecture: int, call: int, first_argument: int = 0) -> int:
    """What the kernel answers to a call: the filter's instructions, followed by hand."""
    steps = list(struct.iter_unpack("=HBBI", program))
    data = {
        sandbox.ARCHITECTURE_AT: architecture,
        sandbox.CALL_NUMBER_AT: call,
        sandbox.FIRST_ARGUMENT_AT: first_argument,
    }
    position = loaded = 0
    while True:
        code, if_true, if_false, value = steps[position]
        position += 1
        match code:
            case sandbox.LOAD_WORD:
                loaded = data[value]
            case sandbox.JUMP_IF_EQUAL:
                position += if_true if loaded == value else if_false
            case sandbox.JUMP_IF_AT_LEAST:
                position += if_true if loaded >= value else if_false
            case sandbox.JUMP_IF_SET:
                position += if_true if loaded & value else if_false
            case sandbox.RETURN:
                return int(value)


@pytest.mark.parametrize("machine", AUDIT_ARCHITECTURES)
def test_the_filter_refuses_exactly_the_forbidden_calls(machine: str) -> None:
    """Both architectures are followed, whichever one this machine has. Numbers end below 600."""
    program, architecture = filter_program(machine), AUDIT_ARCHITECTURES[machine]
    column = list(AUDIT_ARCHITECTURES).index(machine)
    clone = sandbox.CLONE[column]
    answers = {call: answer(program, architecture=architecture, call=call) for call in range(600)}
    refused = {call for call, said in answers.items() if said == sandbox.FAIL_NOT_PERMITTED}
    assert refused == {call[column] for call in FORBIDDEN_CALLS.values()} - {None} | {clone}
    assert {call for call, said in answers.items() if said == sandbox.FAIL_UNKNOWN} == {sandbox.CLONE3}
    assert {said for call, said in answers.items() if call not in refused | {sandbox.CLONE3}} == {sandbox.ALLOW}
    thread = answer(program, architecture=architecture, call=clone, first_argument=sandbox.CLONE_THREAD | 0x100)
    assert thread == sandbox.ALLOW
    assert answer(program, architecture=architecture, call=sandbox.X32_CALLS_FROM) == sandbox.FAIL_NOT_PERMITTED
    assert answer(program, architecture=0x40000003, call=0) == sandbox.KILL_PROCESS  # 32-bit x86


def test_an_unknown_architecture_is_not_guessed() -> None:
    import ctypes

    assert not sandbox.forbid_calls(ctypes.CDLL(None), "riscv64")
