from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

from preprocessing.storage.holder import Holder


def test_this_process_knows_itself() -> None:
    holder = Holder.of_this_process("train")
    assert holder.is_this_process
    assert not holder.is_dead
    assert holder.token != Holder.of_this_process("train").token
    assert str(holder).startswith(f"train in process {os.getpid()} on {holder.host}, since 20")


def test_a_process_that_has_ended_is_dead_and_a_living_one_is_not() -> None:
    """Also before its parent has asked for its status, as a zombie."""
    source = (
        "import json, dataclasses, sys; from preprocessing.storage.holder import Holder;"
        "print(json.dumps(dataclasses.asdict(Holder.of_this_process('x'))), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        holder = Holder(**json.loads(process.stdout.readline()))
        assert not holder.is_dead
        assert not holder.is_this_process
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert holder.is_dead
    assert holder.is_dead


def test_another_process_that_has_got_the_number_later_is_another_one() -> None:
    earlier = replace(Holder.of_this_process("train"), started="1")
    assert earlier.is_dead
    assert not earlier.is_this_process


def test_nothing_is_known_of_a_process_on_another_machine() -> None:
    """Its number may be that of a process here, or of none."""
    there = replace(Holder.of_this_process("train"), machine="another boot", pid=1)
    assert not there.is_dead
    assert not there.is_on_this_machine
    assert not replace(there, pid=os.getpid()).is_this_process
