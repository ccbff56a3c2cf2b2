"""One run at a time in an output: the second is refused, a dead one's lock is taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from preprocessing.storage.holder import Holder
from preprocessing.storage.output_lock import LOCK_NAME, OutputInUseError, Rhythm, held, holder_of

FAST = Rhythm(between_beats=0.05, to_live=0.6, between_looks=0.02)
HOLD = """
import sys
from preprocessing.storage.output_lock import held
with held(sys.argv[1], command="train"):
    print("held", flush=True)
    sys.stdin.read()
"""
COMPETE = """
import os, sys, time
from pathlib import Path
from preprocessing.storage.output_lock import OutputInUseError, Rhythm, held
folder, alone, rounds = sys.argv[1], Path(sys.argv[2]), 0
deadline = time.monotonic() + 100
while rounds < 5 and time.monotonic() < deadline:
    try:
        with held(folder, command="train", rhythm=Rhythm(0.05, 5.0, 0.005)):
            os.close(os.open(alone, os.O_CREAT | os.O_EXCL))  # fails if another one is inside
            time.sleep(0.005)
            alone.unlink()
            rounds += 1
            if rounds == 5 and sys.argv[3] == "dies":
                os._exit(0)  # without giving the folder back
    except OutputInUseError:
        time.sleep(0.005)
sys.exit(rounds != 5)
"""


@contextmanager
def another(output: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the folder until its input ends."""
    command = [sys.executable, "-c", HOLD, str(output)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def leave_lock(output: Path, *, silent_for: float = 0.0, **changes: str | int) -> Path:
    """The lock of a process on another machine that was last heard of so many seconds ago."""
    output.mkdir(parents=True, exist_ok=True)
    lock = output / LOCK_NAME
    holder = asdict(Holder.of_this_process("train")) | {"machine": "another", "host": "node-b", "pid": 7} | changes
    lock.write_text(json.dumps(holder))
    os.utime(lock, (time.time() - silent_for,) * 2)
    return lock


def test_the_second_is_refused_and_hears_who_holds_the_output(tmp_path: Path) -> None:
    output = tmp_path / "run"
    with another(output) as process:
        since = getattr(holder_of(str(output)), "since", "")
        with (
            pytest.raises(
                OutputInUseError, match=rf"run' is in use by train in process {process.pid} on \S+, since {since};"
            ),
            held(str(output), command="train"),
        ):
            pytest.fail("two are inside")
        assert list(output.iterdir()) == [output / LOCK_NAME]


def test_a_killed_holder_is_followed_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="preprocessing")
    with another(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        started = time.monotonic()
        with held(str(tmp_path), command="train"):
            assert time.monotonic() - started < 1
        assert any(f"was held by train in process {process.pid} on" in each for each in caplog.messages)


def test_a_process_may_hold_what_it_holds(tmp_path: Path) -> None:
    with held(str(tmp_path), command="train"), held(str(tmp_path), command="train"):
        holder = holder_of(str(tmp_path))
    assert holder
    assert holder.is_this_process
    assert holder_of(str(tmp_path)) is None


def test_nothing_is_left_of_holding_a_folder_that_nobody_wrote_into(tmp_path: Path) -> None:
    with held(str(tmp_path / "a" / "b"), command="train"):
        assert (tmp_path / "a" / "b" / LOCK_NAME).exists()
    assert not (tmp_path / "a").exists()
    with held(str(tmp_path / "a" / "b"), command="train"):
        (tmp_path / "a" / "result").write_text("")
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["result"]


def test_a_url_is_held_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with held("s3://bucket/run", command="train"):
        assert not list(tmp_path.iterdir())


def test_a_holder_on_another_machine_that_gives_a_sign_of_life_is_in_use(tmp_path: Path) -> None:
    lock = leave_lock(tmp_path)
    beat = threading.Timer(0.2, os.utime, [lock])
    beat.start()
    started = time.monotonic()
    with (
        pytest.raises(OutputInUseError, match="train in process 7 on node-b"),
        held(str(tmp_path), command="train", rhythm=replace(FAST, to_live=20.0)),
    ):
        pytest.fail("two are inside")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("silent_for", [0.0, 3600.0])
def test_a_silent_holder_on_another_machine_is_followed(
    silent_for: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After the rest of the time that it has; whoever waits says what for."""
    caplog.set_level("INFO", logger="preprocessing")
    leave_lock(tmp_path, silent_for=silent_for)
    started = time.monotonic()
    with held(str(tmp_path), command="train", rhythm=FAST):
        waited = time.monotonic() - started
    assert (waited >= 0.5) == (silent_for == 0)
    assert waited < 5
    assert any("its last sign of life is 0 s old, waiting" in each for each in caplog.messages) == (silent_for == 0)
    assert not list(tmp_path.iterdir())


def test_a_lock_that_cannot_be_read_is_somebodys_until_it_is_silent_for_long(tmp_path: Path) -> None:
    lock = tmp_path / LOCK_NAME
    lock.write_text("")
    with held(str(tmp_path), command="train", rhythm=FAST):
        holder = holder_of(str(tmp_path))
    assert holder
    assert holder.is_this_process


def test_signs_of_life_are_given(tmp_path: Path) -> None:
    with held(str(tmp_path), command="train", rhythm=FAST):
        before = (tmp_path / LOCK_NAME).stat().st_mtime_ns
        deadline = time.monotonic() + 10
        while (tmp_path / LOCK_NAME).stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_who_was_taken_for_dead_stops_and_leaves_the_other_ones_lock(tmp_path: Path) -> None:
    def work() -> None:
        with held(str(tmp_path), command="train", rhythm=FAST):
            leave_lock(tmp_path)
            time.sleep(10)

    with pytest.raises(OutputInUseError, match="was taken over by train in process 7 on node-b"):
        work()
    assert getattr(holder_of(str(tmp_path)), "host", None) == "node-b"


@pytest.mark.slow
def test_of_many_newcomers_one_is_inside_and_the_dead_are_followed(tmp_path: Path) -> None:
    """Half of them die inside; every one gets its turns."""
    leave_lock(tmp_path / "run", machine=Holder.of_this_process("x").machine, started="1")
    words = [str(tmp_path / "run"), str(tmp_path / "alone")]
    processes = [
        subprocess.Popen([sys.executable, "-c", COMPETE, *words, "dies" if number % 2 else "lives"])
        for number in range(6)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0] * 6
