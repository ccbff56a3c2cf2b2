"""Namespaces in which a process has mounts and a host name of its own, where this user may make some."""

from __future__ import annotations

import shutil
import subprocess

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--uts"]
"""The beginning of a command that runs in namespaces of its own."""


def reason_against_namespaces() -> str:
    """The reason why this user can mount nothing in a namespace; empty if it can."""
    if shutil.which("unshare") is None:
        return "there is no `unshare`"
    tried = [*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"this user can mount nothing: {done.stderr.strip()}"


WHY_NOT = reason_against_namespaces()
