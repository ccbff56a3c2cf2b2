from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group

from preprocessing.cluster import waiting
from preprocessing.cluster.waiting import Patience, WorkersWatch, is_demanded, wait_for
from preprocessing.errors import ResourceError

pytestmark = pytest.mark.usefixtures("ray_session")
ALL = [{"CPU": 1}, {"CPU": 1}]


@contextmanager
def taken() -> Iterator[None]:
    """Both CPUs of the session are somebody else's."""
    group = placement_group([{"CPU": 2}])
    assert group.wait(timeout_seconds=30)
    try:
        yield
    finally:
        remove_placement_group(group)


def test_what_is_free_is_not_waited_for_and_is_not_held() -> None:
    for _ in range(3):
        wait_for(ALL, what="2 workers", minutes=1)
    assert not is_demanded(ALL)


def test_a_wait_says_what_for_and_ends_when_it_is_free(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(waiting, "SECONDS_BETWEEN_LOOKS", 0.05)
    caplog.set_level(logging.INFO, logger="preprocessing")
    ended = threading.Event()

    def wait() -> None:
        wait_for(ALL, what="2 workers with 1 CPU each", minutes=1)
        ended.set()

    with taken():
        thread = threading.Thread(target=wait)
        thread.start()
        deadline = time.monotonic() + 20
        while not (caplog.messages and is_demanded(ALL)) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not ended.is_set()
        assert is_demanded(ALL), "the autoscaler would not see it"
    thread.join(timeout=30)
    assert ended.is_set()
    assert caplog.messages[0] == ("waiting for 2 workers with 1 CPU each: the cluster has 2 CPU (0 free) (0 s)")


def test_a_wait_has_an_end_and_leaves_no_demand() -> None:
    with taken(), pytest.raises(ResourceError, match=r"2 workers: not there after \d+ s \(the cluster has 2 CPU"):
        wait_for(ALL, what="2 workers", minutes=0.01)
    assert not is_demanded(ALL)


def test_patience_counts_from_the_last_node_that_could_do_the_work() -> None:
    patience = Patience(minutes=0.0001)
    for _ in range(3):
        time.sleep(0.01)
        patience.look([{"CPU": 2}], what="2 CPU")
    time.sleep(0.01)
    with pytest.raises(ResourceError, match="3 CPU: not there after 0 s"):
        patience.look([{"CPU": 3}], what="3 CPU")
    Patience(minutes=None).look([{"CPU": 3}], what="3 CPU")


def test_lost_workers_that_find_no_place_interrupt_the_main_thread_in_the_end() -> None:
    watch = WorkersWatch([{"CPU": 2}], what="1 worker with 2 CPU", minutes=0.0001)
    wait_for([{"CPU": 2}], what="what the test before gives back", minutes=1)
    assert watch.line().startswith("1 worker with 2 CPU: starting, or at a long step; the cluster has 2 CPU (")
    with taken():
        group = placement_group([{"CPU": 2}])
        try:
            assert watch.line().startswith("waiting for 1 worker with 2 CPU: the cluster has 2 CPU (")
            time.sleep(0.05)
            with pytest.raises(KeyboardInterrupt):
                look_and_wait(watch)
        finally:
            remove_placement_group(group)
    assert isinstance(watch.gave_up, ResourceError)
    assert ray.is_initialized()


def look_and_wait(watch: WorkersWatch) -> None:
    for _ in range(10):
        watch.line()
        time.sleep(1)
