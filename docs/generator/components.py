"""Attacks, objectives and the other unions: a table of all members, then each one with its settings."""

from __future__ import annotations

import inspect
import re
from typing import Any

from docs.generator.settings import members, settings_table
from docs.generator.sources import source
from docs.generator.text import cell, code, papers, prose, table

SENTENCE_END = re.compile(r"(?<!et al)(?<!Eq)\.(?=\s)")
NUM_SEGMENTS = 10
"""Segments of the clips whose passes are told; it is the stored format's default."""


def attacks() -> str:
    """Every attack: what it does, its source, its cost in passes, its settings."""
    iterative = set(source("slot")(source("IterativeAttack")).classes)
    targetable = source("TargetableAttack")
    rows = [
        (
            f"[{code(name)}](#{name})",
            first_sentence(attack),
            papers(attack.__doc__),
            str(attack().cost.forward),
            str(attack().cost.backward),
            "yes" if issubclass(attack, targetable) else "",
            "yes" if attack in iterative else "",
        )
        for name, attack in members("AnyAttack").items()
    ]
    overview = table(("`name`", "what it is", "source", "forward", "backward", "`target`", "in a curriculum"), rows)
    return f"{overview}\n\n{sections('AnyAttack')}"


def objectives() -> str:
    """Every objective: what it minimises, its source, its passes, its settings."""
    rows = [
        (f"[{code(name)}](#{name})", first_sentence(each), papers(each.__doc__), *passes(each()))
        for name, each in members("AnyObjective").items()
    ]
    headings = ("`objective.name`", "what it is", "source", "updates per batch", "passes at the start", "at the end")
    return f"{table(headings, rows)}\n\n{sections('AnyObjective')}"


def passes(objective: Any) -> tuple[str, str, str]:
    """Updates of an objective per batch, and its passes per clip when training begins and when it ends."""
    start, end = (str(objective.cost(progress=progress, num_segments=NUM_SEGMENTS)) for progress in (0.0, 1.0))
    return str(objective.updates), start, end


def sections(union: str) -> str:
    """A section per member with its whole docstring and its settings."""
    return "\n\n".join(
        f"## {name}\n\n{prose(each.__doc__)}\n\n{settings_table(each)}" for name, each in members(union).items()
    )


def subsections(union: str) -> str:
    """The same one level lower, for members that share a page with other things."""
    return sections(union).replace("## ", "### ")


def first_sentence(component: type[Any]) -> str:
    """The first sentence of a class's docstring."""
    paragraph = inspect.cleandoc(component.__doc__ or "").partition("\n\n")[0]
    return cell(SENTENCE_END.split(" ".join(paragraph.split()))[0].rstrip(".") + ".")


def corruptions() -> str:
    """Every corruption: its group, what it does, and its parameters by severity 1 to 5."""
    rows = [
        (code(name), each.group, first_sentence(type(each)), cell("; ".join(_parameters(each))))
        for name, each in source("CORRUPTIONS").items()
    ]
    return table(("`corruptions`", "group", "what it is", "parameters, by severity 1 to 5"), rows)


def _parameters(corruption: Any) -> list[str]:
    """`sigma .08 .12 .18 .26 .38`, for each number of a corruption."""
    found = {name: getattr(corruption, name) for name in type(corruption).model_fields if name != "name"}
    return [
        f"{name.replace('_', ' ')} "
        + " ".join(f"{number:g}" for number in (value if isinstance(value, tuple) else (value,)))
        for name, value in found.items()
    ]


def encoders() -> str:
    """The encoders and the smallest input that each can see."""
    rows = [(code(name), str(each.smallest)) for name, each in source("ENCODERS").items()]
    return table(("encoder", "smallest side of its input"), rows)
