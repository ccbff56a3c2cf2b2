"""A sandbox: rights that the decoder process gives up before its first file, so that one that takes it over gains none.

After `confine` a process keeps what it has open and can open one more descriptor: the clip it is sent. It opens and
writes no file, reaches no address, starts no process, touches no other process, and ends with its parent.
That takes no special rights; Linux has all of it since 5.13 (https://docs.kernel.org/userspace-api/landlock.html,
https://docs.kernel.org/userspace-api/seccomp_filter.html). The numbers below are those of the kernel's headers.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys

MIB = 1 << 20

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SECCOMP_MODE_FILTER = 2
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446  # the same on all architectures
LANDLOCK_CREATE_RULESET_VERSION = 1
# How many kinds of access to files a version of Landlock can forbid: it numbers them from bit 0.
FILE_ACCESSES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}

# A call by its number on x86_64 and on aarch64, which has no `fork` and no `vfork`.
FORBIDDEN_CALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "io_uring_setup": (425, 425),
    "open_by_handle_at": (304, 265),
    "mount": (165, 40),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
}
# Threads are allowed, libav starts some: `clone` with this flag among its first argument's. `clone3` hides its flags in
# memory; said to be unknown, the C library uses `clone`.
CLONE, CLONE3, CLONE_THREAD = (56, 220), 435, 0x10000
AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_CALLS_FROM = 0x40000000  # the same calls once more, under other numbers

# Instructions of the filter (linux/bpf_common.h) and its answers (linux/seccomp.h).
LOAD_WORD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
CALL_NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
ALLOW, KILL_PROCESS, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
FAIL_NOT_PERMITTED, FAIL_UNKNOWN = FAIL | errno.EPERM, FAIL | errno.ENOSYS


def confine(*, address_space_mib: int, log_bytes: int) -> list[str]:
    """Confine this process for good. Everything it needs must be imported, and everything open that it reads.

    Threads that already run would stay free: call it before there are any.

    Args:
        address_space_mib: what all its memory may come to.
        log_bytes: how long a file may become by its writing: its error output, if that is a file.

    Returns:
        What this system cannot forbid, in words; empty if all is in force.
    """
    resource.setrlimit(resource.RLIMIT_AS, (address_space_mib * MIB, address_space_mib * MIB))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (log_bytes, log_bytes))
    missing = confine_on_linux() if sys.platform == "linux" else ["opening files", "the network", "starting processes"]
    allow_one_more_descriptor()
    return missing


def allow_one_more_descriptor() -> None:
    """Leave room for a single descriptor, the clip's: whatever else asks for one is refused, on any system."""
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 1, lowest_free + 1))


def confine_on_linux() -> list[str]:
    """End with the parent, gain no rights, and forbid files and calls; what cannot be forbidden, in words."""
    libc = ctypes.CDLL(None, use_errno=True)
    prctl(libc, PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(libc, PR_SET_NO_NEW_PRIVS, 1)
    missing = []
    if not forbid_files(libc):
        missing.append("opening files (Landlock, in Linux 5.13 and newer)")
    if not forbid_calls(libc, platform.machine()):
        missing.append("the network and starting processes (seccomp, on x86_64 and aarch64)")
    return missing


def prctl(libc: ctypes.CDLL, option: int, argument: int, pointer: object = None) -> bool:
    """Ask the kernel for `option`; true if it has done so."""
    result = libc.prctl(option, ctypes.c_ulong(argument), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0))
    return int(result) == 0


def forbid_files(libc: ctypes.CDLL) -> bool:
    """Forbid every access to files by path, and what newer kernels add: TCP, devices, signals to others."""
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        return False
    files = (1 << FILE_ACCESSES[min(version, max(FILE_ACCESSES))]) - 1
    tcp = 0b11 if version >= 4 else 0  # bind, connect
    scopes = 0b11 if version >= 6 else 0  # abstract sockets, signals
    # An older kernel refuses a structure that is longer than its own, unless the rest is zero.
    rules = ctypes.create_string_buffer(struct.pack("=QQQ", files, tcp, scopes), 24)
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(24), 0)
    if ruleset < 0:
        return False
    # No rule is added to the set: nothing is allowed.
    confined = int(libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)) == 0
    os.close(ruleset)
    return confined


def forbid_calls(libc: ctypes.CDLL, machine: str) -> bool:
    """Let the calls in `FORBIDDEN_CALLS` fail as not permitted."""
    if machine not in AUDIT_ARCHITECTURES:
        return False
    program = filter_program(machine)
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they lie
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    return prctl(libc, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header, len(header)))


def filter_program(machine: str) -> bytes:
    """The filter: struct sock_filter after struct sock_filter (code, steps if true, steps if false, value)."""
    column = list(AUDIT_ARCHITECTURES).index(machine)
    numbers = [number for call in FORBIDDEN_CALLS.values() if (number := call[column]) is not None]
    first = 7  # position of the first of them; the steps after the last one are named by their positions
    refuse, check_flags, unknown = (first + len(numbers) + offset for offset in (1, 2, 6))

    def if_call(number: int, position: int, then: int) -> tuple[int, int, int, int]:
        return (JUMP_IF_EQUAL, then - position - 1, 0, number)

    steps = [
        (LOAD_WORD, 0, 0, ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 1, 0, AUDIT_ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL_PROCESS),  # a 32-bit call
        (LOAD_WORD, 0, 0, CALL_NUMBER_AT),
        (JUMP_IF_AT_LEAST, refuse - 5, 0, X32_CALLS_FROM),
        if_call(CLONE[column], 5, check_flags),
        if_call(CLONE3, 6, unknown),
        *(if_call(number, first + index, refuse) for index, number in enumerate(numbers)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, FAIL_NOT_PERMITTED),
        (LOAD_WORD, 0, 0, FIRST_ARGUMENT_AT),
        (JUMP_IF_SET, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, FAIL_NOT_PERMITTED),
        (RETURN, 0, 0, FAIL_UNKNOWN),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
