"""Streams of tasks: their items, their errors, lost workers, and a node that vanishes without a word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import ray
from ray.exceptions import RayTaskError

from preprocessing.cluster.streams import LostTaskError, Streams
from tests.docs.pages import ROOT

pytestmark = pytest.mark.usefixtures("ray_session")


def count(number: int) -> range:
    """The numbers below this one."""
    return range(number)


def die_until(file: str, times: int) -> Iterator[str]:
    """Kill the own process so many times, then return."""
    path = Path(file)
    tries = int(path.read_text()) if path.exists() else 0
    if tries < times:
        path.write_text(str(tries + 1))
        yield "begun"
        os.kill(os.getpid(), signal.SIGKILL)
    yield "done"


def fail(message: str) -> Iterator[str]:
    """Yield once, then fail."""
    yield "begun"
    raise OSError(message)


def whole_machine() -> bool:
    """A task that can begin only when no other runs."""
    return True


def everything(streams: Streams[object]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    while streams:
        found += streams.items(seconds=1.0)
    return found


def test_every_item_comes_once_and_in_the_order_of_its_task() -> None:
    streams: Streams[object] = Streams(count, options={"num_cpus": 1}, max_losses=0)
    for number in (3, 0, 5):
        streams.start(f"below {number}", partial(tuple, (number,)))
    found = everything(streams)
    assert len(found) == 8
    for number in (3, 0, 5):
        assert [item for name, item in found if name == f"below {number}"] == list(range(number))


def test_a_lost_worker_is_replaced_and_its_task_begun_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    streams: Streams[object] = Streams(die_until, options={"num_cpus": 1}, max_losses=2)
    streams.start("mortal", partial(tuple, (str(tmp_path / "tries"), 2)))
    assert [item for _, item in everything(streams)][-1] == "done"
    assert caplog.text.count("mortal was lost (") == 2


def test_a_task_that_is_lost_too_often_is_given_up(tmp_path: Path) -> None:
    streams: Streams[object] = Streams(die_until, options={"num_cpus": 1}, max_losses=1)
    streams.start("mortal", partial(tuple, (str(tmp_path / "tries"), 9)))
    with pytest.raises(LostTaskError, match="'mortal' was given up: it was lost 2 times"):
        everything(streams)
    assert not streams


def test_an_error_of_the_work_is_raised_unless_it_is_one_to_try_again() -> None:
    streams: Streams[object] = Streams(fail, options={"num_cpus": 1}, max_losses=1)
    streams.start("broken", partial(tuple, ("no disk",)))
    with pytest.raises(RayTaskError, match="no disk"):
        everything(streams)
    assert not streams
    again: Streams[object] = Streams(fail, options={"num_cpus": 1}, max_losses=1, retried=(OSError,))
    again.start("broken", partial(tuple, ("no disk",)))
    with pytest.raises(LostTaskError, match=r"lost 2 times \(no disk\)"):
        everything(again)


def test_stopping_leaves_nothing_running() -> None:
    streams: Streams[object] = Streams(count, options={"num_cpus": 2}, max_losses=0)
    for number in range(20):
        streams.start(str(number), partial(tuple, (10**7,)))
    streams.items(seconds=1.0)
    streams.stop()
    assert not streams
    assert ray.get(ray.remote(whole_machine).options(num_cpus=2).remote(), timeout=60)


@pytest.mark.slow
def test_tasks_on_a_node_that_vanishes_are_started_elsewhere_within_seconds() -> None:
    """It closes no connection, so that Ray's own calls to it would wait for minutes."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.preprocessing.cluster.vanishing_node"],
        cwd=ROOT, env=os.environ | {"RAY_ADDRESS": ""}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    items = [tuple(item) for _, item in found["items"]]
    assert {number for number, _ in items} == {1, 2, -1, -2}
    assert {node for number, node in items if number < 0}.isdisjoint({found["doomed"]})
    assert len(items) == 5  # the first item of the task that was begun again comes twice
