"""The start of `doctor`: all checks on this machine, or on every node of a cluster, and those between the nodes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline.doctor.config import DoctorConfig
from pipeline.doctor.finding import Finding, mistake, ok, problem, warning
from pipeline.doctor.gpu import gpus
from pipeline.doctor.libraries import constraints, libraries, python, required
from pipeline.doctor.machine import (
    codecs,
    cpus,
    disk,
    ffmpeg,
    memory_finding,
    open_files,
    read_memory,
    sandbox,
    shared_memory,
)
from pipeline.doctor.services import data_place, mlflow, output_place
from pipeline.environment import is_submitted_job
from preprocessing.errors import UserError
from preprocessing.storage.libraries import result_libraries
from preprocessing.storage.provenance import PROJECT, project_version

CLOCK_WARNING_SECONDS, CLOCK_PROBLEM_SECONDS = 2.0, 60.0
"""Stores refuse requests that are minutes off; videos that seem newer than their shards are hashed again."""
MUST_AGREE = ("python", "ray", PROJECT)
"""Versions without which the processes of two nodes cannot work together."""


@dataclass(frozen=True)
class Examination:
    """All that is found on one machine."""

    findings: tuple[Finding, ...]
    versions: dict[str, str]
    """Of Python, this project and the libraries, by name."""


def diagnose(config: DoctorConfig) -> list[Finding]:
    """Every finding: in a submitted job or where `RAY_ADDRESS` names a cluster of each node, else of this machine.

    No Ray is started.
    """
    mlflow_uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not is_submitted_job() and os.environ.get("RAY_ADDRESS", "local") in ("", "local"):
        return list(examine(config, mlflow_uri).findings)
    from pipeline.cluster import connect

    with ExitStack() as stack:
        try:
            stack.enter_context(connect())
        except UserError as error:
            return [mistake("Ray", error), *examine(config, mlflow_uri).findings]
        return diagnose_cluster(config, mlflow_uri)


def diagnose_cluster(config: DoctorConfig, mlflow_uri: str) -> list[Finding]:
    """Every finding on every node of the connected Ray, and those between the nodes."""
    from preprocessing.cluster.nodes import ask_every_node

    answers = ask_every_node(examine, config, mlflow_uri)
    found = [ok("Ray", f"{len(answers.given) + len(answers.missing)} nodes")]
    found += [
        problem("Ray", said, "see the node's logs and mounts, or take it out").on(str(node))
        for node, said in answers.missing.items()
    ]
    found += [finding.on(str(node)) for node, each in answers.given.items() for finding in each.findings]
    found += differing_versions({str(node): each.versions for node, each in answers.given.items()})
    asked = time.time()
    told = ask_every_node(time_here).given
    found += clocks(asked, {str(node): when for node, when in told.items()}, time.time())
    return [*found, *sharing(config)]


def examine(config: DoctorConfig, mlflow_uri: str) -> Examination:
    """All checks of the machine that this process runs on."""
    allowed, requirements = required()
    memory = read_memory()
    findings = [
        python(allowed),
        libraries(requirements, constraints()),
        codecs(),
        ffmpeg(),
        sandbox(),
        gpus(),
        memory_finding(memory, cpus()),
        shared_memory(Path("/dev/shm"), memory),
        open_files(),
        disk("temporary files", Path(tempfile.gettempdir())),
    ]
    if config.output and "://" not in config.output:
        findings.append(disk("output", Path(config.output)))
    findings.append(mlflow(mlflow_uri))
    findings += [output_place(config.output)] if config.output else []
    findings += [data_place(config.data)] if config.data else []
    return Examination(tuple(findings), result_libraries() | {PROJECT: project_version()})


def time_here() -> float:
    """The clock of the machine that this process runs on, in seconds."""
    return time.time()


def differing_versions(versions: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """The nodes whose versions are not those of the first one; none if no node has answered."""
    if not versions:
        return []
    (first, known), *others = versions.items()
    found = [_difference(first, known, other).on(node) for node, other in others if other != known]
    return found or [
        ok("same versions", f"Python, Ray, this project and its libraries are the same on {len(versions)} nodes")
    ]


def _difference(first: str, known: Mapping[str, str], other: Mapping[str, str]) -> Finding:
    names = [name for name in sorted({*known, *other}) if known.get(name) != other.get(name)]
    said = ", ".join(
        f"{name} {other.get(name, 'is missing')} (on {first}: {known.get(name, 'none')})" for name in names
    )
    state = problem if any(name in MUST_AGREE for name in names) else warning
    return state("same versions", said, "install the same image or constraints.txt on all nodes")


def clocks(asked: float, told: Mapping[str, float], received: float) -> list[Finding]:
    """The nodes whose clock shows a time outside of that between question and answer.

    Args:
        asked: this machine's clock when the nodes were asked, in seconds.
        told: each node's clock when it answered.
        received: this machine's clock when all had answered.
    """
    found = []
    for node, when in told.items():
        off = max(asked - when, when - received, 0.0)
        if off > CLOCK_WARNING_SECONDS:
            state = problem if off > CLOCK_PROBLEM_SECONDS else warning
            which = "behind" if when < asked else "ahead of"
            said = f"{off:,.0f} s {which} the machine that asks"
            found.append(state("clock", said, "let the nodes set their clocks by one server (chrony, NTP)").on(node))
    return found or [ok("clock", f"{len(told)} nodes agree to {received - asked + CLOCK_WARNING_SECONDS:.1f} s")]


def sharing(config: DoctorConfig) -> list[Finding]:
    """Whether all nodes see the same folders under the names that are given."""
    from preprocessing.cluster.shared_places import SharedPlace, require_shared
    from preprocessing.schema import INDEX_NAME

    places: Sequence[SharedPlace] = [
        *([SharedPlace("output", config.output, is_written=True)] if config.output else []),
        *([SharedPlace("data", config.data, INDEX_NAME)] if config.data else []),
    ]
    found = []
    for place in places:
        try:
            require_shared(place)
        except UserError as error:
            found.append(mistake("shared folders", error))
        else:
            found.append(ok("shared folders", f"{place.setting}='{place.place}' is the same on all nodes"))
    return found
