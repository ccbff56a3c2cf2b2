"""One line of the benchmark table: a ratio of two things measured side by side in one run."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A measured ratio and what it should be."""

    name: str
    ratio: float | str
    """Words in place of the number say why it could not be measured here."""
    aim: str
    """The ratio wanted, such as `1.05 or less` or `0.85 or more`."""
    detail: dict[str, object] = field(default_factory=dict)
    """The raw figures behind the ratio."""

    @property
    def is_met(self) -> bool:
        """Whether the ratio is what `aim` wants; one that could not be measured is not.

        Raises:
            ValueError: if `aim` is of neither form.
        """
        bound, _, side = self.aim.partition(" or ")
        if not side.startswith(("less", "more")):
            raise ValueError(f"the aim of '{self.name}' is '{self.aim}'; allowed: 'NUMBER or less', 'NUMBER or more'")
        if isinstance(self.ratio, str):
            return False
        return self.ratio <= float(bound) if side.startswith("less") else self.ratio >= float(bound)


def as_json(row: Row) -> dict[str, object]:
    """A row as results.json holds it, with the machine it was measured on."""
    fields = asdict(row)
    return {**fields, "detail": {**row.detail, "machine": machine()}}


def machine() -> str:
    """This machine in few words."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}"
