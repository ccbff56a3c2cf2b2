"""Whatever is killed, fills up or runs beside it: nothing is lost or there twice, and the bytes are the same."""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from preprocessing.config import PreprocessConfig
from preprocessing.run import preprocess, verify
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from preprocessing.storage.store import StoreError
from tests.preprocessing.small_run import config, contents, is_begun, kill_one, writers_below

ROOT = Path(__file__).parents[2]
DRIVER = """
import sys, ray
from preprocessing.config import PreprocessConfig
from preprocessing.run import preprocess
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
preprocess(PreprocessConfig.model_validate_json(sys.argv[2]))
"""
VICTIMS = ("driver", "worker", "decoder")
LARGEST_BYTES = 100_000
pytestmark = pytest.mark.usefixtures("ray_session")


def start_driver(wanted: PreprocessConfig) -> subprocess.Popen[bytes]:
    """Preprocess in another process, on the Ray of this one."""
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-c", DRIVER, address, wanted.model_dump_json()]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def run_with_kills(
    wanted: PreprocessConfig, output: Path, *, victims: Sequence[str], chance: random.Random
) -> Counter[str]:
    """Preprocess to the end while the victims are killed in turn, at random moments; who was killed how often."""
    waiting = list(victims)
    killed: Counter[str] = Counter()
    driver = start_driver(wanted)
    try:
        while driver.poll() != 0:
            if driver.poll() is not None:
                assert driver.returncode == -9, "a driver that nobody killed has failed"
                driver = start_driver(wanted)
            if waiting and is_begun(output):
                time.sleep(chance.uniform(0.0, 0.4))
                if waiting[0] == "driver":
                    driver.kill()
                    driver.wait()
                    killed[waiting.pop(0)] += 1
                elif kill_one(output, waiting[0], chance):
                    killed[waiting.pop(0)] += 1
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    return killed


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory, videos: Path, ray_session: None) -> Path:
    """An undisturbed run with one clip in each of its twelve shards."""
    output = tmp_path_factory.mktemp("single") / "shards"
    preprocess(config(videos, output, shard_size=1))
    return output


@pytest.mark.slow
def test_kills_at_random_moments_change_no_byte(tmp_path: Path, videos: Path, single: Path) -> None:
    output, chance = tmp_path / "shards", random.Random("default run")
    victims = chance.sample(VICTIMS, k=3)
    killed = run_with_kills(config(videos, output, shard_size=1), output, victims=victims, chance=chance)
    assert killed
    assert contents(output) == contents(single)
    assert verify(str(output)) == []


@pytest.mark.slow
def test_dozens_of_kills_change_no_byte(tmp_path: Path, videos: Path, single: Path) -> None:
    """A finished data set is removed and made again until two dozen processes have been killed."""
    chance = random.Random("long run")
    killed: Counter[str] = Counter()
    while killed.total() < 24:
        output = tmp_path / f"shards{killed.total()}"
        victims = chance.choices(VICTIMS, k=8)
        killed += run_with_kills(config(videos, output, shard_size=1), output, victims=victims, chance=chance)
        assert contents(output) == contents(single)
        assert verify(str(output)) == []
        shutil.rmtree(output)
    assert set(killed) == set(VICTIMS)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "decoder"])
def test_the_loss_of_a_process_is_made_good_in_the_same_run(
    victim: str, tmp_path: Path, videos: Path, finished: Path
) -> None:
    output = tmp_path / "shards"
    killed: list[str] = []

    def act() -> bool:
        if kill_one(output, victim, random.Random(0)):
            killed.append(victim)
        return bool(killed)

    with meanwhile(act):
        preprocess(config(videos, output))
    assert killed == [victim]
    assert contents(output) == contents(finished)


@pytest.mark.slow
def test_two_runs_at_once_do_each_other_no_harm(tmp_path: Path, videos: Path, finished: Path) -> None:
    output = tmp_path / "shards"
    other = start_driver(config(videos, output))
    preprocess(config(videos, output))
    assert other.wait(timeout=120) == 0
    assert contents(output) == contents(finished)
    assert verify(str(output)) == []


def test_a_disk_that_fills_up_ends_the_job_and_a_rerun_goes_on(tmp_path: Path, videos: Path, finished: Path) -> None:
    """The system refuses to let the files of whichever worker writes grow any further."""
    output = tmp_path / "shards"
    limited: dict[int, tuple[int, int]] = {}

    def fill() -> bool:
        for pid in writers_below(output):
            before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            limited.setdefault(pid, before)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST_BYTES, before[1]))
        return bool(limited)

    with meanwhile(fill), pytest.raises(StoreError, match=r"cannot write '.*/shards/.*\.tar': no space is left there"):
        preprocess(config(videos, output))
    assert not list(output.rglob(f"{TEMPORARY_PREFIX}*"))
    assert not (output / "dataset.json").exists()
    for pid, before in limited.items():
        if Path(f"/proc/{pid}").exists():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    preprocess(config(videos, output))
    assert contents(output) == contents(finished)


@contextmanager
def meanwhile(act: Callable[[], bool]) -> Iterator[None]:
    """Call `act` every few milliseconds in a thread until it has done something or the block ends."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(0.002) and not act():
            pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


CLUSTER = """
import os, signal, sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from preprocessing.config import PreprocessConfig
from preprocessing.run import preprocess

def below(pid):
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from below(int(child))
    yield pid

def lose_a_node():
    while not any(Path(wanted.output).rglob(".unfinished-*.tar")):
        time.sleep(0.01)
    for pid in list(below(nodes[0].all_processes["raylet"][0].process.pid)):
        os.kill(pid, signal.SIGKILL)
    print("lost a node", flush=True)

wanted = PreprocessConfig.model_validate_json(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
thread = threading.Thread(target=lose_a_node)
thread.start()
preprocess(wanted)
thread.join()
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
def test_the_loss_of_a_node_changes_no_byte(tmp_path: Path, videos: Path, finished: Path) -> None:
    output = tmp_path / "shards"
    command = [sys.executable, "-c", CLUSTER, config(videos, output).model_dump_json()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost a node" in done.stdout
    assert contents(output) == contents(finished)


def can_mount() -> bool:
    """Whether this user may mount a small disk of memory."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["mount"] if can_mount() else ["limit"])
def test_the_command_ends_with_status_2_on_a_full_disk(how: str, tmp_path: Path, videos: Path, finished: Path) -> None:
    """On a real disk of 200 KB where this user may mount one; else where no file may grow beyond half a shard."""
    output = tmp_path / "disk" / "shards"
    output.parent.mkdir()
    dump = json.loads(config(videos, output).model_dump_json(exclude_defaults=True))
    words = [f"{key}={json.dumps(value)}" for key, value in dump.items()]
    command = [sys.executable, "-m", "pipeline", "preprocess", *words, "dataset.name=folder"]
    if how == "mount":
        script = f'mount -t tmpfs -o size=200k none "{output.parent}" && "$@"; status=$?; find "{output}"; exit $status'
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *command]
        before = None
    else:
        before = limit_files
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, preexec_fn=before
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no space is left there" in done.stderr
    assert "Traceback" not in done.stderr
    assert TEMPORARY_PREFIX not in done.stdout
    assert "dataset.json" not in done.stdout


def limit_files() -> None:
    """Let no file of a new process grow beyond half a shard."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_BYTES, resource.RLIM_INFINITY))
