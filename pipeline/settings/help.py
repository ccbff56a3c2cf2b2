"""The `--help` of a command: what can be set, with defaults and explanations, straight from its config class."""

from __future__ import annotations

import importlib
from typing import Any

from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from pipeline.settings.load import flatten
from preprocessing.settings import Settings

CONFIG_CLASSES = {
    "demo": ("pipeline.demo", "DemoConfig"),
    "preprocess": ("preprocessing.config", "PreprocessConfig"),
    "inspect": ("preprocessing.inspection.config", "InspectConfig"),
    "train": ("training.config", "TrainConfig"),
    "tune": ("pipeline.search.tune", "TuneConfig"),
    "verify": ("preprocessing.checks.config", "VerifyConfig"),
    "evaluate": ("evaluation.config", "EvaluateConfig"),
}


class SettingsCommand(TyperCommand):
    """A command whose help lists its settings."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the usual help, then a line per setting."""
        super().format_help(ctx, formatter)
        module, name = CONFIG_CLASSES[str(self.name)]
        config_class: type[Settings] = getattr(importlib.import_module(module), name)
        with formatter.section("Settings (KEY=VALUE; groups by dotted keys, such as group.part=1)"):
            formatter.write_dl([(name, explain(field)) for name, field in config_class.model_fields.items()])


def explain(field: FieldInfo) -> str:
    """What a setting does, and its default."""
    text = " ".join((field.description or "").split())
    if field.is_required():
        return f"{text} Required."
    default = field.get_default(call_default_factory=True)
    if isinstance(default, Settings):
        parts = flatten(default)
        tag = parts.get("name")
        return f"{text} Default: {tag}." if tag else f"{text} Parts: {', '.join(type(default).model_fields)}."
    if isinstance(default, tuple) and any(isinstance(each, Settings) for each in default):
        return f"{text} Default: {', '.join(str(getattr(each, 'name', each)) for each in default)}."
    return f"{text} Default: {'none' if default is None else default}."
