"""The commands as `--help` shows them."""

from __future__ import annotations

from typing import Any

import typer

from docs.generator.sources import configs, source
from docs.generator.text import cell, code, prose, table


def commands() -> str:
    """A section per command: its help, how it is called, and its arguments."""
    return "\n\n".join(_section(name, command) for name, command in commands_by_name().items())


def commands_by_name() -> dict[str, Any]:
    """Every command of the command line."""
    group: Any = typer.main.get_command(source("app"))
    found: dict[str, Any] = group.commands
    return found


def _section(name: str, command: Any) -> str:
    usage = command.get_usage(typer.Context(command, info_name=f"python -m pipeline {name}")).removeprefix("Usage: ")
    parts = [f"## {name}", prose(command.help), f"```text\n{' '.join(usage.split())}\n```"]
    rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        parts.append(table(("argument", "meaning"), rows))
    if name in configs():
        parts.append(f"Its settings: [all of them](settings.md#{name}).")
    return "\n\n".join(parts)


def _row(parameter: Any) -> tuple[str, str]:
    is_option = parameter.param_type_name == "option"
    shown = ", ".join(parameter.opts) if is_option else str(parameter.metavar or parameter.name)
    default = f" Default: {code(parameter.default)}." if is_option and parameter.default is not None else ""
    return code(shown), cell(parameter.help) + default


def environment() -> str:
    """The variables that a command sets unless they are set, for every Ray and for a private one."""
    everywhere: dict[str, str] = source("ENVIRONMENT")
    local: dict[str, str] = source("LOCAL_ENVIRONMENT")
    rows = [(code(name), code(value), "always") for name, value in everywhere.items()]
    rows += [(code(name), code(value), "for a private Ray on this machine") for name, value in local.items()]
    return table(("variable", "value", "when"), rows)
