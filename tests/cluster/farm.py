"""A cluster of separate hosts on one Linux machine, built of namespaces: what a distributed system is really tested on.

Each host has a network address, a host name, a process space, /tmp, /dev/shm, a home and /scratch of its own. /shared
is one file system of a fixed size that all see. Losing its power ends every process of a host in one moment, and nobody
hears of it; its cable can be pulled out and put back. It needs root, iproute2 and util-linux.

Not the same as a real cluster: one kernel, one clock, memory in place of a network file system, no NCCL.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

NETWORK = "10.79.0"
"""The first three numbers of the hosts' addresses."""
PREFIX = "ravfarm"
"""What the names of its network namespaces begin with."""
SECONDS_TO_START = 15.0
INIT = r"""
set -e
mount --make-rprivate /
mkdir -p "$OWN/tmp" "$OWN/scratch/home" /shared /scratch
mount --bind "$SHARED" /shared
mount --bind "$OWN/scratch" /scratch
mount -t tmpfs -o size=2g tmpfs /dev/shm
mount --bind "$HOSTS_FILE" /etc/hosts
mount --bind "$OWN/tmp" /tmp
chmod 1777 /tmp /dev/shm
hostname "$HOST"
touch /scratch/.up
cd /scratch
trap 'exit 0' TERM
while :; do sleep 1000 & wait $!; done
"""
"""The first process of a host: it makes its file system, and waits."""


def unavailable() -> str:
    """The reason why this machine cannot hold a farm; empty if it can."""
    if sys.platform != "linux":
        return "a farm of hosts needs Linux's namespaces"
    if os.geteuid() != 0:
        return "a farm of hosts needs root"
    if Path(sys.prefix).is_relative_to("/tmp"):
        return "a farm's hosts each have a /tmp of their own: the environment must lie elsewhere"
    missing = [tool for tool in ("ip", "unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if missing:
        return f"a farm of hosts needs {', '.join(missing)} (iproute2, util-linux)"
    probe = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], check=False, capture_output=True)
    return "" if probe.returncode == 0 else f"this root may not make namespaces: {probe.stderr.decode().strip()}"


def ip(*words: object, namespace: str = "", check: bool = True) -> None:
    """Run iproute2's `ip`, in a network namespace if one is named."""
    inside = ["-n", namespace] if namespace else []
    subprocess.run(["ip", *inside, *map(str, words)], check=check, capture_output=not check)


@dataclass(frozen=True)
class Host:
    """One host of a farm."""

    name: str
    address: str
    link: str
    """Its cable's end at the switch."""
    namespace: str
    folder: Path
    """Its own files, seen from outside: tmp/ and scratch/."""
    pid: int
    """Its first process, seen from outside."""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """Processes of this side that live as long as it does, or less."""

    @property
    def is_alive(self) -> bool:
        """True until it loses its power."""
        return Path(f"/proc/{self.pid}/ns/net").exists()

    def command(self, words: Sequence[str], *, folder: str) -> list[str]:
        """The command line that runs `words` inside the host."""
        inside = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", f"--wdns={folder}"]
        return [*inside, *words]

    def run(
        self, *words: str, folder: str = "/scratch", env: Mapping[str, str] | None = None, seconds: float | int = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a user logged in there would, and return what it said, both streams as `stdout`."""
        return subprocess.run(
            self.command(words, folder=folder), env=environment(env), stdin=subprocess.DEVNULL, check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
        )  # fmt: skip

    def start(
        self, *words: str, log: Path, folder: str = "/scratch", env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command there and go on."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                self.command(words, folder=folder), env=environment(env), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def processes(self, word: str, *, marker: str = "") -> list[int]:
        """Its processes, seen from outside, with `word` in their command line and `marker` in their environment."""
        try:
            own = Path(f"/proc/{self.pid}/ns/pid").readlink()
        except OSError:
            return []
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if (
                    (each / "ns/pid").readlink() == own
                    and word in (each / "cmdline").read_text()
                    and marker in (each / "environ").read_text(errors="replace")
                ):
                    found.append(int(each.name))
            except OSError:
                continue
        return found


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a user who has just logged in."""
    binaries = Path(sys.executable).parent
    return {
        "HOME": "/scratch/home",
        "PATH": f"{binaries}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",  # logs are followed as they are written
        **(more or {}),
    }


@dataclass
class Farm:
    """Hosts on one switch with one shared file system; gone without a trace at the end of the `with` block."""

    folder: Path
    """Files of the farm; not below /tmp, which every host has of its own."""
    shared_mib: int = 1500
    hosts: dict[str, Host] = field(default_factory=dict)
    """Those that live, or that nobody has cleared away yet."""
    _cut_off: set[str] = field(default_factory=set)
    _count: int = 0

    @property
    def shared(self) -> Path:
        """The shared file system, seen from outside."""
        return self.folder / "shared"

    @property
    def _switch(self) -> str:
        return f"{PREFIX}-switch"

    @property
    def _hosts_file(self) -> Path:
        return self.folder / "etc-hosts"

    def __enter__(self) -> Farm:
        self.shared.mkdir(parents=True)
        size = f"size={self.shared_mib}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.shared)], check=True)
        self._hosts_file.write_text("127.0.0.1 localhost\n")
        ip("netns", "add", self._switch)
        ip("link", "add", "br0", "type", "bridge", namespace=self._switch)
        ip("addr", "add", f"{NETWORK}.254/24", "dev", "br0", namespace=self._switch)
        for link in ("br0", "lo"):
            ip("link", "set", link, "up", namespace=self._switch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cut_off |= set(self.hosts)
        self.clear_away()
        ip("netns", "del", self._switch, check=False)
        subprocess.run(["umount", "--lazy", str(self.shared)], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, name: str) -> Host:
        """Give the farm one more host, or a dead one's place to a new one with another address."""
        self._count += 1
        address, link, namespace = f"{NETWORK}.{self._count}", f"v{self._count}", f"{PREFIX}-{self._count}"
        with self._hosts_file.open("a") as file:
            file.write(f"{address} {name}\n")
        ip("netns", "add", namespace)
        pair = ("link", "add", link, "netns", self._switch, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip(*pair)
        ip("link", "set", link, "master", "br0", namespace=self._switch)
        ip("link", "set", link, "up", namespace=self._switch)
        ip("link", "set", "lo", "up", namespace=namespace)
        ip("addr", "add", f"{address}/24", "dev", "eth0", namespace=namespace)
        ip("link", "set", "eth0", "up", namespace=namespace)
        ip("route", "add", "default", "via", f"{NETWORK}.254", namespace=namespace)
        own = self.folder / f"{name}-{self._count}"
        own.mkdir()
        outer = self._boot(name, namespace, own)
        pid = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
        self.hosts[name] = Host(name, address, link, namespace, own, pid, [outer])
        return self.hosts[name]

    def _boot(self, name: str, namespace: str, own: Path) -> subprocess.Popen[bytes]:
        with (own / "init.log").open("w") as log:
            outer = subprocess.Popen(
                [
                    "ip", "netns", "exec", namespace, "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork",
                    "--mount-proc", "--kill-child", "bash", "-c", INIT,
                ],
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OWN": str(own), "SHARED": str(self.shared), "HOST": name,
                    "HOSTS_FILE": str(self._hosts_file),
                },
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + SECONDS_TO_START
        while not (own / "scratch/.up").exists():
            is_well = outer.poll() is None and time.monotonic() < deadline
            assert is_well, f"host {name} did not start: {(own / 'init.log').read_text()}"
            time.sleep(0.05)
        return outer

    def clear_away(self) -> None:
        """Remove the hosts that are dead or cut off."""
        gone = [host for name, host in self.hosts.items() if name in self._cut_off or not host.is_alive]
        for host in gone:
            self._end(host)
        for host in gone:
            for process in host.started:
                process.wait(timeout=60)
            ip("netns", "del", host.namespace, check=False)
            del self.hosts[host.name]
        self._cut_off.clear()

    def kill(self, name: str) -> None:
        """Take a host's power away."""
        self.cut(name)  # first: no process can say goodbye
        self._end(self.hosts[name])

    def _end(self, host: Host) -> None:
        if host.is_alive:
            os.kill(host.pid, signal.SIGKILL)  # the kernel ends every process of the space with its first one

    def cut(self, name: str) -> None:
        """Pull a host's cable out."""
        self._cut_off.add(name)
        ip("link", "set", self.hosts[name].link, "down", namespace=self._switch)

    def heal(self, name: str) -> None:
        """Put a host's cable back."""
        self._cut_off.discard(name)
        ip("link", "set", self.hosts[name].link, "up", namespace=self._switch)

    def fill(self) -> None:
        """Leave no byte free on the shared file system."""
        free = shutil.disk_usage(self.shared).free
        with (self.shared / ".filling").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free, 1))

    def empty(self) -> None:
        """Take the filling away."""
        (self.shared / ".filling").unlink(missing_ok=True)
