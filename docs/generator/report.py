"""What a report holds beside its fields: the checks for gradient masking."""

from __future__ import annotations

import inspect

from docs.generator.sources import source
from docs.generator.text import cell, code, table


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
