"""Fills the marked places of a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from docs.generator.commands import commands, environment
from docs.generator.components import attacks, corruptions, encoders, objectives, sections, subsections
from docs.generator.report import attack_lists, checks
from docs.generator.settings import command_settings, fields_table, group_table
from docs.generator.sources import SOURCES

PLACE = re.compile(r"^<!-- generate: ([\w ]+) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)

GENERATED: dict[str, Callable[[], str]] = {
    "attack_lists": attack_lists,
    "attacks": attacks,
    "checks": checks,
    "commands": commands,
    "corruptions": corruptions,
    "datasets": partial(sections, "AnyDataset"),
    "distributions": partial(subsections, "AnyDistribution"),
    "encoders": encoders,
    "environment": environment,
    "input_transforms": partial(subsections, "AnyInputTransform"),
    "objectives": objectives,
    "schedules": partial(sections, "AnySchedule"),
    "settings": command_settings,
}
"""What `<!-- generate: NAME -->` stands for; `group CLASS` and `fields CLASS` are told by the class as well."""


def expanded(markdown: str) -> str:
    """A page with every marked place filled.

    Raises:
        ValueError: if a mark names nothing that can be generated.
    """
    return PLACE.sub(lambda match: generated(match[1]), markdown)


def generated(name: str) -> str:
    """What stands at a mark of this name."""
    word, _, of = name.partition(" ")
    tables = {"group": group_table, "fields": fields_table}
    if word in tables and of in SOURCES:
        return tables[word](of)
    if name not in GENERATED:
        raise ValueError(f"'{name}' cannot be generated; allowed: {', '.join(GENERATED)}, group CLASS, fields CLASS")
    return GENERATED[name]()
