"""Versions of libraries: of those that decide a shard's bytes, and of those that a result may depend on."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

SHARD_PACKAGES = ("av", "numpy", "simplejpeg", "torch", "torchaudio")
"""Packages that encode or decode: a shard has the same bytes for the same versions of them only."""
RESULT_PACKAGES = (*SHARD_PACKAGES, "mlflow", "ray", "safetensors", "torchvision", "webdataset")
"""Packages that a result may depend on, or that a record must be read with."""


@cache
def shard_libraries() -> dict[str, str]:
    """Versions by name of what decides a shard's bytes; `libav...` are FFmpeg's libraries inside PyAV."""
    import av  # only where a shard is really built

    ffmpeg = {name: ".".join(map(str, numbers)) for name, numbers in sorted(av.library_versions.items())}
    return installed_versions(SHARD_PACKAGES) | ffmpeg


@cache
def result_libraries() -> dict[str, str]:
    """Versions by name of what a result may depend on, Python's among them."""
    return {"python": platform.python_version()} | installed_versions(sorted(RESULT_PACKAGES))


def installed_versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions by name of the packages that are installed in this process's environment."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe_difference(one: dict[str, str], other: dict[str, str]) -> str:
    """The versions that differ, in words; empty if none does."""
    return ", ".join(
        f"{name} {one.get(name, 'absent')} and {other.get(name, 'absent')}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    )
