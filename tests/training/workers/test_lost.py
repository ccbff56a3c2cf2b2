from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from training.run_folder import RunFolder
from training.workers.lost import LostWorkers, first_failure, first_line, last_line, place_of, why

UNUSED: Any = None
DEAD = """A worker health check failed.
The actor died unexpectedly before finishing this task.
\tclass_name: RayTrainWorker
\tpid: 7
\tip: 192.0.2.9
The actor is dead because its node has died. Node Id: 00
\tthe actor's node was terminated unexpectedly: health check failed due to missing too many heartbeats"""


def lost_node() -> Exception:
    return RuntimeError(DEAD)


def test_the_first_failure_is_no_consequence_of_another() -> None:
    consequence = RuntimeError("[gloo] Connection closed by peer [192.0.2.9]:1")
    bug = ValueError("a bug")
    assert first_failure({0: consequence, 1: bug}) == (1, bug)
    assert first_failure({1: consequence, 0: consequence}) == (0, consequence)
    assert first_failure({0: consequence, 2: lost_node(), 3: consequence})[0] == 2


def test_a_lost_node_is_named_with_its_address_and_reason() -> None:
    assert place_of(lost_node()) == " on 192.0.2.9"
    assert why(lost_node()) == "its node has died"
    assert place_of(ValueError("a bug")) == ""
    assert why(ValueError("a bug\nwith details")) == "ValueError: a bug"
    assert first_line(ValueError()) == "ValueError: "
    assert last_line(ValueError("details\nthe reason\n")) == "the reason"
    assert last_line(ValueError()) == "ValueError"


def test_a_loss_is_one_line_that_says_where_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    listener = LostWorkers(RunFolder(tmp_path).newest, max_failures=2)
    said = "worker 1 on 192.0.2.9 lost (its node has died); "
    failures = {0: RuntimeError("gloo: connection reset"), 1: lost_node()}
    listener.after_exception(UNUSED, failures)
    (tmp_path / "epochs/000003").mkdir(parents=True)
    listener.after_exception(UNUSED, failures)
    listener.after_exception(UNUSED, failures)
    assert caplog.messages == [
        f"{said}restarting from the beginning",
        f"{said}restarting from epoch 4, step 0",
        f"{said}max_failures is used up",
    ]
