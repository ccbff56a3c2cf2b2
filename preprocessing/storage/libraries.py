"""Versions of the libraries that decide a shard's bytes: the same bytes are promised for the same versions only."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

PACKAGES = ("av", "numpy", "simplejpeg", "torch", "torchaudio")


@cache
def library_versions() -> dict[str, str]:
    """Versions by name, in this process's environment; `libav...` are FFmpeg's libraries inside PyAV."""
    import av  # only where a shard is really built

    ffmpeg = {name: ".".join(map(str, numbers)) for name, numbers in sorted(av.library_versions.items())}
    return {package: version(package) for package in PACKAGES} | ffmpeg


def describe_difference(one: dict[str, str], other: dict[str, str]) -> str:
    """The versions that differ, in words; empty if none does."""
    return ", ".join(
        f"{name} {one.get(name, 'absent')} and {other.get(name, 'absent')}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    )
