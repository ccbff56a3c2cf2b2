"""What a cluster does to running work, and what came of it: one row for each fault."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.cluster.ray_farm import Job, RayFarm

EPOCH_LINE = re.compile(r"epoch (\d+)/\d+: loss")
TROUBLE = re.compile(
    r" lost\b|is away|is back|went away|waiting for|building it again|again on|No space|going on after"
)
"""Words of the lines that tell of a fault and of what is done about it."""
EPOCHS = 16
"""Enough, and each long enough, that a fault strikes in the middle."""
TINY = ("model.video_encoder=tiny", "model.audio_encoder=tiny", "model.feature_size=16")
SETTINGS = (
    "pipeline/configs/train/standard.yaml", "workers=2", "batch_size=8", f"epochs={EPOCHS}",
    "validation.attacks=[{name: pgd, steps: 150}]", *TINY,
)  # fmt: skip
LIMIT_SECONDS = 420.0


@dataclass
class Outcome:
    """A row of the table."""

    fault: str
    ends: str = ""
    """The way the work ended: SUCCEEDED, or after which help."""
    same_result: bool | None = None
    """Whether weights, data set or search are bit for bit those of undisturbed work."""
    repeated_epochs: int = 0
    """Epochs reported more than once."""
    seconds_to_next_epoch: float | None = None
    """From the fault to the first epoch that was not there before."""
    clips_lost: int | None = None
    """Of a data set."""
    told: list[str] = field(default_factory=list)
    """What the user was told of it, in order."""
    seconds: float = 0.0
    """The whole job."""


@dataclass
class Epochs:
    """The epochs that a job has reported, with the time of each, as they come."""

    job: Job
    seen: list[tuple[float, int]] = field(default_factory=list)

    def look(self) -> int:
        """Look again; the number of the newest epoch, 0 before the first."""
        found = [int(each) for each in EPOCH_LINE.findall(self.job.text)]
        self.seen += [(time.monotonic(), epoch) for epoch in found[len(self.seen) :]]
        return self.seen[-1][1] if self.seen else 0

    def wait_for(self, epoch: int, *, seconds: float = LIMIT_SECONDS) -> None:
        """Wait until this epoch is reported; returns early if the job ends."""
        deadline = time.monotonic() + seconds
        while self.look() < epoch and not self.job.status:
            assert time.monotonic() < deadline, f"epoch {epoch} never came:\n{self.job.text[-3000:]}"
            time.sleep(0.1)


def train(cluster: RayFarm, name: str, *more: str) -> Job:
    """Submit the training that all faults are tried on."""
    return cluster.submit("train", *SETTINGS, "data=/shared/dataset", f"output=/shared/out/{name}", *more)


def weights_sha256(cluster: RayFarm, name: str) -> str:
    """The hash of a finished training's weights."""
    return hashlib.sha256((cluster.farm.shared / f"out/{name}/checkpoint/model.safetensors").read_bytes()).hexdigest()


def busiest(cluster: RayFarm, job: Job, word: str = "RayTrainWorker") -> str:
    """A host that works for the job."""
    deadline = time.monotonic() + 120
    while not (hosts := cluster.workers_of(job, word)):
        assert time.monotonic() < deadline, f"no process of the job has '{word}' in its name"
        time.sleep(0.1)
    return sorted(hosts)[-1]


def kill_worker(cluster: RayFarm, job: Job) -> None:
    os.kill(cluster.workers_of(job)[busiest(cluster, job)][0], signal.SIGKILL)


def kill_driver(cluster: RayFarm, job: Job) -> None:
    for process in cluster.head.processes("pipeline\0", marker=f"FARM_JOB={job.name}\0"):
        os.kill(process, signal.SIGKILL)


def lose_node(cluster: RayFarm, job: Job) -> None:
    cluster.farm.kill(busiest(cluster, job))


def lose_all_but_one_node(cluster: RayFarm, job: Job) -> None:
    """The training needs two nodes, and has one left."""
    busiest(cluster, job)
    nodes = sorted(name for name, host in cluster.farm.hosts.items() if host.is_alive and name != "head")
    for name in nodes[1:]:
        cluster.farm.kill(name)


def cut_for_ever(cluster: RayFarm, job: Job) -> None:
    cluster.farm.cut(busiest(cluster, job))


def cut_for_20_seconds(cluster: RayFarm, job: Job) -> None:
    host = busiest(cluster, job)
    cluster.farm.cut(host)
    time.sleep(20)
    cluster.farm.heal(host)


def fill_storage(cluster: RayFarm, job: Job) -> None:
    cluster.farm.fill()


def stop_mlflow(cluster: RayFarm, job: Job) -> None:
    for process in cluster.head.processes("mlflow"):
        if (
            "server" in Path(f"/proc/{process}/cmdline").read_text()
            or "uvicorn" in Path(f"/proc/{process}/cmdline").read_text()
        ):
            os.kill(process, signal.SIGKILL)


def nothing(cluster: RayFarm, job: Job) -> None:
    """Help that is not needed."""


def empty_storage(cluster: RayFarm, job: Job) -> None:
    cluster.farm.empty()


def add_node(cluster: RayFarm, job: Job) -> None:
    """A node, some time after it was missed."""
    time.sleep(45)
    cluster.start_node(f"spare-{len(cluster.farm.hosts)}")


def start_mlflow(cluster: RayFarm, job: Job) -> None:
    time.sleep(10)
    cluster.start_mlflow()


@dataclass(frozen=True)
class Fault:
    """A fault of a training, and the help that is given afterwards."""

    name: str
    strike: Callable[[RayFarm, Job], None]
    help: Callable[[RayFarm, Job], None] = nothing
    """Done as soon as the fault has struck, or, if the job ends by it, before it is submitted again."""
    ends_the_job: bool = False
    is_tested: bool = False
    """True: it is one of the tests as well."""


FAULTS = (
    Fault("a worker is killed", kill_worker, is_tested=True),
    Fault("a node is lost, another is free", lose_node),
    Fault("a node is lost, none is free, one comes later", lose_all_but_one_node, add_node),
    Fault("the driver is killed, the job submitted again", kill_driver, ends_the_job=True),
    Fault("a node's network is cut for 20 s", cut_for_20_seconds),
    Fault("a node's network is cut for ever, another is free", cut_for_ever),
    Fault(
        "the shared storage is full; emptied, the job submitted again", fill_storage, empty_storage, ends_the_job=True
    ),
    Fault("the MLflow server is killed and comes back", stop_mlflow, start_mlflow),
)


def tried(cluster: RayFarm, fault: Fault, *, name: str, expected_sha256: str) -> Outcome:
    """Train, let the fault strike after the third epoch, and see what comes of it."""
    started = time.monotonic()
    job = train(cluster, name)
    epochs = Epochs(job)
    epochs.wait_for(3)
    fault.strike(cluster, job)
    struck, before = time.monotonic(), epochs.look()
    told_from = len(job.text)
    outcome = Outcome(fault.name)
    if fault.ends_the_job:
        ended = job.wait(seconds=LIMIT_SECONDS)
        outcome.told = told(job.text[told_from:])
        fault.help(cluster, job)
        again = train(cluster, name)
        outcome.ends = f"{ended}; submitted again: {again.wait(seconds=LIMIT_SECONDS) or 'still running'}"
        later = Epochs(again)
        later.look()
        reported = [epoch for _, epoch in (*epochs.seen, *later.seen)]
    else:
        fault.help(cluster, job)
        epochs.wait_for(before + 1)
        outcome.seconds_to_next_epoch = round(time.monotonic() - struck, 1)
        outcome.ends = job.wait(seconds=LIMIT_SECONDS) or "still running"
        epochs.look()
        outcome.told = told(job.text[told_from:])
        reported = [epoch for _, epoch in epochs.seen]
    outcome.repeated_epochs = len(reported) - len(set(reported))
    if (cluster.farm.shared / f"out/{name}/checkpoint").exists():
        outcome.same_result = weights_sha256(cluster, name) == expected_sha256
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def told(text: str) -> list[str]:
    """The project's own lines in a job's log that speak of trouble: each once, without its time."""
    lines = (re.match(r"(?:\d\d:\d\d:\d\d (?:INFO|WARNING|ERROR)|error:) (.*)", line) for line in text.splitlines())
    return list(dict.fromkeys(line[1] for line in lines if line and TROUBLE.search(line[1])))


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes in Markdown."""
    columns = ("fault", "ends", "same result", "epochs twice", "seconds to the next epoch", "clips lost", "told")
    rows = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for one in outcomes:
        same = {True: "yes", False: "no", None: "-"}[one.same_result]
        seconds = "-" if one.seconds_to_next_epoch is None else f"{one.seconds_to_next_epoch:g}"
        lost = "-" if one.clips_lost is None else str(one.clips_lost)
        said = "; ".join(one.told[:3]).replace("|", "/")[:300]
        rows.append(f"| {one.fault} | {one.ends} | {same} | {one.repeated_epochs} | {seconds} | {lost} | {said} |")
    return "\n".join(rows) + "\n"


def read(folder: Path) -> list[Outcome]:
    """The outcomes that `write` has kept; none if there are none."""
    file = folder / "faults.json"
    return [Outcome(**row) for row in json.loads(file.read_text())] if file.exists() else []


def write(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Keep the table as faults.json and faults.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.json").write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n")
    (folder / "faults.md").write_text(table(outcomes))
