"""The measured shape of the code: `make lint` prints it, and `tests/test_house.py` holds it to its limits.

Rooms are the files and folders that a reader finds on the first level of a folder.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grimp

from tests.reading_paths import paths

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("preprocessing", "training", "evaluation", "pipeline")
ROOMS = {"preprocessing": 18, "training/attacks": 18, "training": 25, "evaluation": 18, "pipeline": 16}
"""Most rooms of a folder."""
README_LINES = 200
FILE_LINES = 300
FUNCTION_LINES = 50
FILES_OPENED = {"CSV to shard": 26, "shard to batch": 4, "batch to loss": 22}
"""Most files that a reader opens on the way, as `tests/reading_paths.py` counts them; the aim is 10, 4 and 10."""
RIDDLES = ("How", "What", "When", "Where", "Who", "Why")
"""Words that a docstring does not open with: its first line says what the thing is or does."""

PROVEN_BY = {
    "evaluation/api.py": "tests/evaluation/test_victim.py",
    "evaluation/attack_lists.py": "tests/evaluation/test_config.py",
    "evaluation/reporting/results.py": "tests/evaluation/reporting/test_summary.py",
    "evaluation/tasks/portions.py": "tests/evaluation/tasks/test_workers.py",
    "pipeline/commands/__init__.py": "tests/pipeline/commands/test_commands.py",
    "pipeline/commands/app.py": "tests/pipeline/commands/test_commands.py",
    "pipeline/commands/checks.py": "tests/pipeline/commands/test_commands.py",
    "pipeline/commands/stages.py": "tests/pipeline/commands/test_commands.py",
    "pipeline/verification.py": "tests/pipeline/commands/test_commands.py",
    "evaluation/comparison/origins.py": "tests/evaluation/comparison/test_leaderboard.py",
    "evaluation/comparison/result.py": "tests/evaluation/comparison/test_summary.py",
    "pipeline/doctor/config.py": "tests/pipeline/doctor/test_run.py",
    "pipeline/tracking/mirror.py": "tests/pipeline/tracking/test_recorder.py",  # what is sent, once and only once
    "pipeline/tracking/record.py": "tests/pipeline/tracking/test_recorder.py",
    "preprocessing/cluster/nodes.py": "tests/preprocessing/cluster/test_shared_places.py",  # every node, asked at once
    "preprocessing/decoding/opening.py": "tests/preprocessing/test_hostile_files.py",  # links, pipes and other roots
    "preprocessing/inspection/config.py": "tests/preprocessing/inspection/test_trouble.py",  # what its limits do
    "preprocessing/storage/members.py": "tests/preprocessing/storage/test_stored_sample.py",
    "training/fitting.py": "tests/training/test_run_refusals.py",  # and test_run_interruptions.py, how it ends
    "training/objectives/exchange.py": "tests/training/objectives/test_workers.py",  # mixup over several processes
    "training/models/__init__.py": "tests/training/models/test_model_config.py",
}
"""Modules without a test of their name, and the test that proves them."""


@dataclass(frozen=True)
class Figure:
    """One measured number and its limit."""

    name: str
    value: int
    limit: int
    where: tuple[str, ...] = ()
    """Places that count, as `file:line`."""

    @property
    def is_met(self) -> bool:
        """At or below its limit."""
        return self.value <= self.limit


def figures() -> Iterator[Figure]:
    """Every figure, measured afresh."""
    yield from figures_of_files()
    for way, limit in FILES_OPENED.items():
        opened = paths(PACKAGES)[way]
        yield Figure(f"files opened from {way}", len(opened), limit, opened)


def figures_of_files() -> Iterator[Figure]:
    """The figures that nothing is run for."""
    for folder, limit in ROOMS.items():
        yield Figure(f"rooms of {folder}/", len(rooms(ROOT / folder)), limit)
    yield Figure("lines of README.md", len((ROOT / "README.md").read_text().splitlines()), README_LINES)
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in files}
    longest = max(lengths, key=lengths.__getitem__)
    yield Figure("lines of the longest file", lengths[longest], FILE_LINES, (longest,))
    tests = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in (ROOT / "tests").rglob("*.py")}
    longest = max(tests, key=tests.__getitem__)
    yield Figure("lines of the longest test file", tests[longest], FILE_LINES, (longest,))
    functions = {where: length for file in files for where, length in function_lengths(file)}
    longest = max(functions, key=functions.__getitem__)
    yield Figure("lines of the longest function", functions[longest], FUNCTION_LINES, (longest,))
    riddles = tuple(where for file in files for where in riddling_docstrings(file))
    yield Figure(f"docstrings that open with {', '.join(RIDDLES)}", len(riddles), 0, riddles)
    untested = tuple(modules_without_a_test())
    yield Figure("modules without a test of their name", len(untested), 0, untested)
    circles = import_circles()
    yield Figure("import circles", len(circles), 0, tuple(" <-> ".join(circle) for circle in circles))


def rooms(folder: Path) -> list[str]:
    """Python files and folders on the first level of `folder`."""
    return sorted(
        each.name
        for each in folder.iterdir()
        if each.suffix == ".py" or (each.is_dir() and any(each.rglob("*.py")) and each.name != "__pycache__")
    )


def modules_without_a_test() -> Iterator[str]:
    """Modules that define something, but have neither a test of their name nor one in `PROVEN_BY`.

    Entries of `PROVEN_BY` that are not needed, or name no test, are given too.
    """
    modules = {
        str(file.relative_to(ROOT)): ROOT / "tests" / file.relative_to(ROOT).with_name(f"test_{file.name}")
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        if any(isinstance(each, ast.FunctionDef | ast.ClassDef) for each in ast.parse(file.read_text()).body)
    }
    for name, test in modules.items():
        if test.exists() == (name in PROVEN_BY):
            yield name
    yield from (f"{name}: {test}" for name, test in PROVEN_BY.items() if not (ROOT / test).is_file())
    yield from sorted(PROVEN_BY.keys() - modules.keys())


def function_lengths(file: Path) -> Iterator[tuple[str, int]]:
    """Lines of every function without its docstring, by place."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            first = node.body[0]
            has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            skipped = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
            yield f"{file.relative_to(ROOT)}:{node.lineno}", last - node.lineno + 1 - skipped


def riddling_docstrings(file: Path) -> Iterator[str]:
    """Places of docstrings, those of attributes included, whose first word is one of `RIDDLES`."""
    for node in ast.walk(ast.parse(file.read_text())):
        for statement in getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ():
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                continue
            text = statement.value.value
            if isinstance(text, str) and text.split(maxsplit=1)[:1] and text.split()[0].rstrip(",:") in RIDDLES:
                yield f"{file.relative_to(ROOT)}:{statement.lineno}"


def import_circles() -> list[tuple[str, ...]]:
    """Groups of modules that import each other, directly or through others (Tarjan's algorithm)."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for imported in graph.find_modules_directly_imported_by(module):
            if imported not in order:
                visit(imported)
            if imported in stack:
                lowest[module] = min(lowest[module], lowest[imported])
        if lowest[module] == order[module]:
            start = stack.index(module)
            if len(stack) - start > 1:
                found.append(tuple(sorted(stack[start:])))
            del stack[start:]

    for module in sorted(graph.modules):
        if module not in order:
            visit(module)
    return found


def main(arguments: Sequence[str] = ()) -> int:
    """Print every figure beside its limit; 0 if all are met, else 1."""
    measured = list(figures())
    for each in measured:
        print(f"{'ok    ' if each.is_met else 'MISSED'} {each.value:>5} of at most {each.limit:>3}  {each.name}")
        if not each.is_met or "-v" in arguments:
            for where in each.where:
                print(f"             {where}")
    return 0 if all(each.is_met for each in measured) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
