"""What an evaluation runs and a report holds beside its fields: lists of attacks, checks for gradient masking."""

from __future__ import annotations

import inspect
from operator import attrgetter

from docs.generator.sources import source
from docs.generator.text import cell, code, table


def attack_lists() -> str:
    """Every list of attacks by its name, with the passes per clip of all its attacks."""
    label = source("attack_label")
    rows = []
    for name, attacks in source("ATTACK_LISTS").items():
        passes = [sum(map(attrgetter(f"cost.{kind}"), attacks)) for kind in ("forward", "backward")]
        rows.append((code(name), ", ".join(map(label, attacks)), *(f"{count:,g}" for count in passes)))
    return table(("list", "attacks", "forward", "backward"), rows)


def checks() -> str:
    """Every check for gradient masking, by name."""
    module = inspect.getmodule(source("run_checks"))
    rows = [
        (code(name), cell(function.__doc__))
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__annotations__.get("return") == "Check"
        and not name.startswith("_")
    ]
    return table(("check", "what it asks"), rows)
