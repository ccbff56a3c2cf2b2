"""Places that processes share or do not: real mounts where this user may make some, in namespaces of their own."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preprocessing.cluster.shared_places import (
    Landmark,
    SharedPlace,
    Trouble,
    UnsharedPlaceError,
    landmarks,
    recognise,
    told,
    troubles_with,
)
from preprocessing.cluster.tasks import build_all
from preprocessing.plan import make_plan
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from tests.preprocessing.cluster.namespaces import NAMESPACE, WHY_NOT
from tests.preprocessing.small_run import config
from tests.s3_server import S3Server

ROOT = Path(__file__).parents[3]
LOOK = """
import pickle, sys
from preprocessing.cluster.shared_places import told, troubles_with
print(told([("node-b (10.0.0.2)", each) for each in troubles_with(pickle.load(sys.stdin.buffer))]))
"""
HOLD = """
import sys, time
from preprocessing.cluster.shared_places import SharedPlace, landmarks
with landmarks(SharedPlace("output", sys.argv[1], is_written=True)):
    print("there", flush=True)
    time.sleep(60)
"""
needs_namespaces = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


def seen_elsewhere(mount: str, known: tuple[Landmark, ...]) -> str:
    """What a process says of these landmarks after `mount`, a shell command, in a namespace of its own."""
    command = [*NAMESPACE, "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable, "-c", LOOK]
    done = subprocess.run(command, cwd=ROOT, input=pickle.dumps(known), capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "dataset.json").write_text('{"content_sha256": "aa"}')
    return folder


def written(folder: Path | str) -> SharedPlace:
    return SharedPlace("output", str(folder), is_written=True)


def read(folder: Path | str) -> SharedPlace:
    return SharedPlace("data", str(folder), "dataset.json")


def test_a_token_is_there_as_long_as_it_is_needed_and_so_is_a_folder_made_for_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "output"
    with landmarks(written(folder)) as (known,):
        assert [each.name for each in folder.iterdir()] == [known.name]
        assert known.name.startswith(TEMPORARY_PREFIX)
        assert troubles_with((known,)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_work_has_filled_stays(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "output"
    with landmarks(written(folder)):
        (folder / "plan.json").touch()
    assert [each.name for each in folder.iterdir()] == ["plan.json"]


def test_the_token_of_a_killed_driver_is_swept_by_the_next_and_that_of_a_living_one_is_not(output: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(output)], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    with landmarks(written(output)):
        assert len(list(output.iterdir())) == 2
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert len(list(output.iterdir())) == 1
    with landmarks(written(output)):
        assert len(list(output.iterdir())) == 1
    assert list(output.iterdir()) == []


@needs_namespaces
def test_a_node_with_a_disk_of_its_own_there_does_not_see_the_drivers(output: Path) -> None:
    with landmarks(written(output)) as known:
        assert seen_elsewhere(f"mount -t tmpfs none {output}", known) == (
            f"output='{output}' is not one folder on all nodes: node-b (10.0.0.2) does not see what the driver wrote; "
            "name a folder on a shared file system or an fsspec URL"
        )
        assert seen_elsewhere("true", known) == ""
    assert list(output.iterdir()) == []


@needs_namespaces
def test_a_node_that_sees_the_folder_but_cannot_write_is_told(output: Path) -> None:
    with landmarks(written(output)) as known:
        mount = f"mount --bind {output} {output} && mount -o remount,bind,ro {output}"
        assert seen_elsewhere(mount, known) == (
            f"output='{output}' cannot be used on all nodes: node-b (10.0.0.2) sees it but cannot write into it "
            "(Read-only file system); give the user that Ray runs as the right to it there"
        )


@needs_namespaces
@pytest.mark.parametrize(
    ("fill", "said"),
    [
        ("true", "does not see its 'dataset.json'"),
        ("echo other > {data}/dataset.json", "has another 'dataset.json' there"),
        ("printf '%s' '{{\"content_sha256\": \"bb\"}}' > {data}/dataset.json", "has another 'dataset.json' there"),
    ],
    ids=["none", "another size", "the same size"],
)
def test_a_node_with_no_or_another_data_set_there_is_told(fill: str, said: str, data: Path) -> None:
    with landmarks(read(data)) as known:
        found = seen_elsewhere(f"mount -t tmpfs none {data} && {fill.format(data=data)}", known)
    assert f"data='{data}' is not one folder on all nodes: node-b (10.0.0.2) {said}; name a folder on" in found


@needs_namespaces
def test_an_empty_root_of_videos_must_be_there_at_least(tmp_path: Path) -> None:
    root = tmp_path / "above" / "videos"
    root.mkdir(parents=True)
    with landmarks(SharedPlace("dataset.root", str(root))) as known:
        assert troubles_with(known) == []
        assert "node-b (10.0.0.2) does not see it" in seen_elsewhere(f"mount -t tmpfs none {root.parent}", known)


def test_what_is_seen_late_is_waited_for(output: Path, data: Path, tmp_path: Path) -> None:
    """As where a file system keeps listings for a moment."""
    with landmarks(read(data)) as known:
        hidden = data.rename(tmp_path / "hidden")
        shell = f"sleep 0.5; mv {hidden} {data}"
        with subprocess.Popen(["sh", "-c", shell]):
            assert troubles_with(known) == []


def test_a_process_looks_once(data: Path) -> None:
    with landmarks(read(data)) as known:
        recognise(known)
        (data / "dataset.json").unlink()
        recognise(known)


def test_a_store_that_does_not_answer_is_told_with_the_node(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with landmarks(written("s3://bucket/out")) as known:
        assert troubles_with(known) == []
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setattr("preprocessing.storage.store.ATTEMPTS", 1)
        s3.is_down = True
        [trouble] = troubles_with(known)
    message = told([("node-b (10.0.0.2)", trouble)])
    assert "output='s3://bucket/out' cannot be used on all nodes: node-b (10.0.0.2) cannot look at 's3://" in message
    assert "give these nodes its credentials" in message


def test_of_many_nodes_some_are_named() -> None:
    trouble = Trouble(written("/x"), "does not see what the driver wrote", is_elsewhere=True)
    message = told([(f"node-{number}", trouble) for number in range(9)])
    assert "node-2 does not see what the driver wrote, and 6 more; name" in message
    assert "node-3" not in message


@pytest.mark.usefixtures("ray_session")
def test_a_task_that_does_not_see_the_places_ends_the_job_at_once(videos: Path, tmp_path: Path) -> None:
    """The token is gone, as it would be on a node that has joined since."""
    wanted = config(videos, tmp_path / "shards")
    plan, _ = make_plan(wanted.dataset.listing(), roots=(videos,), settings=wanted.fingerprint(), shard_size=4, seed=0)
    with landmarks(written(wanted.output)) as known:
        pass
    started = time.monotonic()
    with pytest.raises(UnsharedPlaceError, match=rf"{os.uname().nodename} \(.*\) does not see what the driver wrote"):
        next(iter(build_all(wanted, plan, output=wanted.output, known=known)))
    assert time.monotonic() - started < 60
    assert not (tmp_path / "shards").exists()
