"""Checks of one machine: its disks, memory, limits, codecs and the decoder's sandbox."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.doctor.finding import Finding, ok, problem, warning
from preprocessing.decoding.parent import environment

GIB = 1 << 30
DISK_PROBLEM_GIB, DISK_WARNING_GIB = 1, 10
SHARED_MEMORY_SHARE = 0.3
"""Ray keeps its object store in shared memory, and takes this share of the memory for it."""
GIB_PER_CPU = 1.5
"""A preprocessing worker and its decoder take so much together."""
OPEN_FILES_WANTED, OPEN_FILES_NEEDED = 8192, 1024
"""The first is what Ray recommends: a head holds a connection to each worker of each node."""
DECODERS = ("h264", "hevc", "vp9", "mpeg4", "aac", "mp3", "opus", "vorbis")
ENCODERS = ("flac",)
CHILD_SECONDS = 60
CONFINE = """
import json
from preprocessing.decoding.sandbox import confine
print(json.dumps(confine(address_space_mib=4096, log_bytes=1 << 20)))
"""


@dataclass(frozen=True)
class Memory:
    """Bytes of main memory that this machine, or this container of it, has."""

    total: int
    available: int


def disk(setting: str, folder: Path) -> Finding:
    """The space that is left where `folder` is or would be made."""
    name = f"disk of {setting}"
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    try:
        free = shutil.disk_usage(there).free / GIB
    except OSError as error:
        return problem(name, f"'{there}' cannot be asked: {error.strerror}", "choose another folder")
    said = f"{free:,.1f} GiB are free at '{there}'"
    if free < DISK_PROBLEM_GIB:
        return problem(name, said, "free some space, or choose another folder")
    if free < DISK_WARNING_GIB:
        return warning(name, said, "free some space: data sets and checkpoints take gigabytes")
    return ok(name, said)


def shared_memory(folder: Path, memory: Memory) -> Finding:
    """The file system of shared memory, in which Ray's processes hand each other what is large."""
    name = "shared memory"
    if not folder.is_dir():
        return ok(name, f"this system has no '{folder}'; Ray uses files")
    size = shutil.disk_usage(folder).total
    said = f"'{folder}' holds {size / GIB:,.1f} GiB, {size / memory.total:.0%} of the memory"
    if size < SHARED_MEMORY_SHARE * memory.total:
        wanted = SHARED_MEMORY_SHARE * memory.total / GIB
        return warning(
            name,
            said,
            f"Ray wants {wanted:,.0f} GiB and is slow with less: start the container with --shm-size={wanted:.0f}g "
            "(Docker), or with an emptyDir of medium Memory there (Kubernetes)",
        )
    return ok(name, said)


def memory_finding(memory: Memory, num_cpus: int) -> Finding:
    """The memory, beside what one worker per CPU would take."""
    available = memory.available / GIB
    said = f"{available:,.1f} of {memory.total / GIB:,.1f} GiB are free, for {num_cpus} CPUs"
    if available < GIB_PER_CPU:
        return problem("memory", said, "end other programs: not even one worker fits")
    if available < GIB_PER_CPU * num_cpus:
        return warning("memory", said, f"set workers={int(available / GIB_PER_CPU)} or fewer for preprocess")
    return ok("memory", said)


def read_memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> Memory:
    """The memory of this machine, or what its container may have of it (versions 1 and 2 of control groups)."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    available = total
    if (proc / "meminfo").is_file():
        lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
        sizes = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}
        total, available = sizes["MemTotal"], sizes.get("MemAvailable", sizes["MemFree"])
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        if (cgroup / most).is_file() and (limit := (cgroup / most).read_text().strip()).isdigit():
            total = min(total, int(limit))
            available = min(available, total - int((cgroup / used).read_text()))
    return Memory(total, max(available, 0))


def cpus() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def open_files() -> Finding:
    """The number of files and connections that a process may have open: Ray raises it to the hard limit by itself."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most >= OPEN_FILES_WANTED:
        return ok("open files", "no limit" if most == resource.RLIM_INFINITY else f"at most {most:,}")
    remedy = f"raise it: ulimit -Hn {OPEN_FILES_WANTED}, /etc/security/limits.conf, or docker run --ulimit nofile=..."
    state = problem if most < OPEN_FILES_NEEDED else warning
    return state("open files", f"at most {most:,}, Ray wants {OPEN_FILES_WANTED:,}", remedy)


def codecs(decoders: Sequence[str] = DECODERS, encoders: Sequence[str] = ENCODERS) -> Finding:
    """The codecs that PyAV's FFmpeg was built with."""
    import av

    missing = [f"{name} (decoder)" for name in decoders if not _has_codec(name, "r")]
    missing += [f"{name} (encoder)" for name in encoders if not _has_codec(name, "w")]
    ffmpeg = ".".join(map(str, av.library_versions["libavcodec"]))
    if missing:
        return problem(
            "codecs",
            f"PyAV {av.__version__} (libavcodec {ffmpeg}) has no {', '.join(missing)}",
            "install PyAV's own wheel, which brings them: pip install --force-reinstall --no-deps av",
        )
    return ok("codecs", f"PyAV {av.__version__} with libavcodec {ffmpeg} has all {len(decoders) + len(encoders)}")


def _has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    import av

    try:
        av.codec.Codec(name, mode)
    except ValueError:  # PyAV's error for an unknown codec is one
        return False
    return True


def ffmpeg() -> Finding:
    """The program that makes the demo's clips and checks stored ones."""
    import imageio_ffmpeg

    try:
        path = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=CHILD_SECONDS, check=True)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        remedy = "install ffmpeg, or imageio-ffmpeg's wheel, which brings one: verify videos=... and demo need it"
        return warning("ffmpeg", f"cannot be started: {error}", remedy)
    return ok("ffmpeg", " ".join(done.stdout.split()[1:3]))


def sandbox(python: str = sys.executable) -> Finding:
    """The decoder's sandbox: tried in a process of its own, which then can do nothing else."""
    name = "decoder sandbox"
    try:
        done = subprocess.run(
            [python, "-P", "-c", CONFINE],
            capture_output=True,
            text=True,
            timeout=CHILD_SECONDS,
            check=True,
            env=environment(),
        )
        missing = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
        return problem(name, f"a process cannot be confined: {said}", "run as a user who may lower its own limits")
    if missing:
        return warning(
            name,
            f"this system cannot forbid: {'; '.join(missing)}",
            "decode only videos that you trust, or use Linux 5.13 or newer with Landlock and seccomp switched on",
        )
    return ok(name, "decoders can open no file, reach no address and start no process")
