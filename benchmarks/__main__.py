"""`make bench`: runs the benchmarks, prints their ratios and writes runs/bench/results.json.

`python -m benchmarks NAME ...` runs only the modules of that name, such as `attacks`.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.row import Row, as_json, machine

MODULES = ("preprocessing", "memory", "scaling", "loader", "attacks", "autoattack", "compute_options", "workers")
"""Each has `rows() -> list[Row]`."""
RESULTS = Path("runs/bench/results.json")


def main(names: Sequence[str]) -> int:
    """Run the named benchmarks (all by default); 0 done, 2 no such benchmark."""
    if unknown := sorted(set(names) - set(MODULES)):
        sys.stderr.write(f"error: no benchmark {', '.join(unknown)}; allowed: {', '.join(MODULES)}\n")
        return 2
    rows = list(measure(names or MODULES))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([as_json(row) for row in rows], indent=2) + "\n")
    show(rows)
    print(f"written to {RESULTS}")
    return 0


def measure(names: Sequence[str]) -> Iterator[Row]:
    """The rows of each benchmark in turn, with a line on standard output as each begins."""
    for name in names:
        print(f"{time.strftime('%H:%M:%S')} {name} ...", flush=True)
        yield from importlib.import_module(f"benchmarks.{name}").rows()


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(title=machine())
    for name in ("name", "ratio", "aim", "met", "detail"):
        table.add_column(name, justify="right" if name == "ratio" else "left", overflow="fold")
    for row in rows:
        detail = ", ".join(f"{key} {_short(value)}" for key, value in row.detail.items())
        ratio = row.ratio if isinstance(row.ratio, str) else f"{row.ratio:.3f}"
        table.add_row(row.name, ratio, row.aim, "yes" if row.is_met else "no", detail)
    Console().print(table)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
