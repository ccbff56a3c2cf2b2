"""Checks of Python and the installed libraries against what this project asks for and was tested with."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pipeline.doctor.finding import Finding, ok, problem, warning
from preprocessing.storage.provenance import PROJECT, ROOT

INSTALL = "install what this project names: pip install -c constraints.txt ."
DIFFERENCES_TOLD = 8


def required(root: Path = ROOT) -> tuple[str, list[str]]:
    """The versions of Python and the libraries that the code which runs asks for.

    A clone says so in its `pyproject.toml`, an installed copy in its metadata.
    """
    file = root / "pyproject.toml"
    project = tomllib.loads(file.read_text()).get("project", {}) if file.is_file() else {}
    if project.get("name") == PROJECT:
        return project["requires-python"], project["dependencies"]
    try:
        return str(metadata(PROJECT)["Requires-Python"]), requires(PROJECT) or []
    except PackageNotFoundError:
        return "", []


def constraints(root: Path = ROOT) -> dict[str, str]:
    """The versions that this project was tested with, by library; none where `constraints.txt` does not lie beside."""
    file = root / "constraints.txt"
    lines = file.read_text().splitlines() if file.is_file() else []
    pairs = (line.partition("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): pinned.split()[0] for name, equals, pinned in pairs if equals}


def python(allowed: str, running: str = platform.python_version()) -> Finding:
    """The running Python against the versions that are allowed."""
    if SpecifierSet(allowed).contains(running, prereleases=True):
        return ok("Python", running)
    return problem("Python", f"{running}; allowed: {allowed}", f"make an environment with Python {allowed}")


def libraries(requirements: Sequence[str], pinned: Mapping[str, str]) -> Finding:
    """The installed libraries against what is required, and then against what was tested."""
    wanted = [Requirement(each) for each in requirements]
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    found = {each.name: installed(each.name) for each in wanted}
    wrong = [
        f"{each.name} is missing" if had is None else f"{each.name} {had}, wanted {each.specifier}"
        for each in wanted
        if (had := found[each.name]) is None or not each.specifier.contains(had, prereleases=True)
    ]
    if wrong:
        return problem("libraries", _listed(wrong), INSTALL)
    other = [
        f"{name} {had}, tested {pinned[key]}"
        for name, had in found.items()
        if had and (key := canonicalize_name(name)) in pinned and had.partition("+")[0] != pinned[key]
    ]
    if other:
        return warning("libraries", f"other versions than the tested ones: {_listed(other)}", INSTALL)
    return ok("libraries", f"all {len(wanted)} are as required" + (" and as tested" if pinned else ""))


def installed(name: str) -> str | None:
    """The version of an installed library; None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _listed(words: Sequence[str]) -> str:
    more = [f"and {len(words) - DIFFERENCES_TOLD} more"] if len(words) > DIFFERENCES_TOLD else []
    return "; ".join([*words[:DIFFERENCES_TOLD], *more])
