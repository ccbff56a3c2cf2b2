"""Rules about how modules depend on each other that no import contract states."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import grimp
import pytest

PACKAGES = ("preprocessing", "training", "evaluation", "pipeline")


@functools.cache
def imports() -> grimp.ImportGraph:
    """Who imports whom, imports inside functions and for type checkers included."""
    first, *others = PACKAGES
    return grimp.build_graph(first, *others, cache_dir=None)


def circles(modules: set[str], imported_by: Callable[[str], set[str]]) -> Iterator[list[str]]:
    """The largest groups of modules in which each one reaches each other one."""
    ahead = {module: reached(module, imported_by) for module in modules}
    is_seen: set[str] = set()
    for module in sorted(modules):
        if module in ahead[module] and module not in is_seen:
            group = {other for other in ahead[module] if module in ahead[other]}
            is_seen |= group
            yield sorted(group)


def reached(start: str, imported_by: Callable[[str], set[str]]) -> set[str]:
    """All modules that a module imports, directly or through others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imported_by(waiting.pop()) - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize(
    ("arrows", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a", "c"}, "c": set()}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"d"}}, [["a", "b", "c"], ["d", "e"]]),
    ],
)
def test_circles_are_found_where_there_are_some(arrows: dict[str, set[str]], expected: list[list[str]]) -> None:
    assert list(circles(set(arrows), arrows.__getitem__)) == expected


def test_no_module_imports_itself_through_others() -> None:
    graph = imports()
    assert list(circles(graph.modules, graph.find_modules_directly_imported_by)) == []


def test_the_graph_holds_the_four_packages_and_their_arrows() -> None:
    """A graph without imports would have no circle either."""
    graph = imports()
    assert {module.partition(".")[0] for module in graph.modules} == set(PACKAGES)
    assert "training.norms" in graph.find_modules_directly_imported_by("training.threat")
