"""The `--help` of a command and of its groups of settings, straight from its config class."""

from __future__ import annotations

import importlib
import inspect
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic.fields import FieldInfo
from typer.core import TyperCommand, TyperGroup

from pipeline.endings import EXPLANATION, InterruptedCommandError
from pipeline.settings.allowed import allowed
from pipeline.settings.groups import ANY_KEY, Entry, find, whole
from pipeline.settings.tree import field_slot
from pipeline.settings.yaml_text import one_line
from preprocessing.errors import SettingsError
from preprocessing.settings import Settings

CONFIG_CLASSES = {
    "demo": ("pipeline.demo", "DemoConfig"),
    "preprocess": ("preprocessing.config", "PreprocessConfig"),
    "inspect": ("preprocessing.inspection.config", "InspectConfig"),
    "train": ("training.config", "TrainConfig"),
    "tune": ("pipeline.search.tune", "TuneConfig"),
    "verify": ("preprocessing.checks.config", "VerifyConfig"),
    "evaluate": ("evaluation.config", "EvaluateConfig"),
    "corruptions": ("evaluation.corruptions.config", "CorruptionsConfig"),
    "transfer": ("evaluation.transfer.config", "TransferConfig"),
    "perceptibility": ("evaluation.perceptibility.config", "PerceptibilityConfig"),
    "compare": ("evaluation.comparison.config", "CompareConfig"),
    "predict": ("evaluation.prediction.config", "PredictConfig"),
    "export": ("evaluation.prediction.export", "ExportConfig"),
    "doctor": ("pipeline.doctor.config", "DoctorConfig"),
}
_GROUPS = "groups of settings to explain"


def config_class_of(command: str) -> type[Settings]:
    """The class of a command's settings.

    Raises:
        SettingsError: if it has none.
    """
    if command not in CONFIG_CLASSES:
        raise SettingsError(f"'{command}' has no settings; allowed: {', '.join(CONFIG_CLASSES)}")
    module, name = CONFIG_CLASSES[command]
    config_class: type[Settings] = getattr(importlib.import_module(module), name)
    return config_class


class Command(TyperCommand):
    """A command whose help is as wide as the terminal, and that lets interruptions out as what they are."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take note of the words after `--help`."""
        ctx.terminal_width = terminal_width()
        if "--help" in args:
            ctx.meta[_GROUPS] = args[args.index("--help") + 1 :]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The arguments as they are described; typer would put those of a list into brackets once more."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece[1:-4] if piece.startswith("[") and piece.endswith("...]...") else piece for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List arguments and options, each explained below its name, which is never cut."""
        records = [param.get_help_record(ctx) for param in self.get_params(ctx)]
        lines = [line for record in records if record for line in _row(*record)]
        formatter.write("\n".join(["", "Arguments and options:", *lines]) + "\n")

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Say what the exit statuses mean."""
        formatter.write("\n" + "\n".join(_wrapped(EXPLANATION)) + "\n")

    def invoke(self, ctx: Any) -> Any:
        """Run the command; typer would end on an interruption or a file's end without a word."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, SystemExit) as error:
            raise InterruptedCommandError from error
        except EOFError as error:
            raise RuntimeError("a stream ended too early") from error


class CommandGroup(TyperGroup):
    """All commands; their help is as wide as the terminal."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the terminal's width."""
        ctx.terminal_width = terminal_width()
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order in which a user comes to them."""
        return sorted(super().list_commands(ctx), key=[*CONFIG_CLASSES, "settings"].index)


class SettingsCommand(Command):
    """A command whose help lists its settings, and explains the groups that are named after `--help`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Tell settings that are written like options."""
        options = {name for param in self.get_params(ctx) for name in param.opts}
        refuse_dashes(args, settings=set(config_class_of(str(self.name)).model_fields), options=options)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the usual help and a line per setting, or all about the groups asked for."""
        if groups := ctx.meta.get(_GROUPS):
            config_class = config_class_of(str(self.name))
            formatter.write("\n".join(line for key in groups for line in group_help(config_class, key)))
            formatter.write("\n")
            return
        super().format_help(ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """List the settings, then say what the exit statuses mean."""
        config_class = config_class_of(str(self.name))
        formatter.write("\n".join(settings_help(config_class, ctx.command_path)) + "\n")
        super().format_epilog(ctx, formatter)


def refuse_dashes(words: Sequence[str], *, settings: set[str], options: set[str]) -> None:
    """Refuse settings that are written like options, all at once.

    Raises:
        SettingsError: with each as it is meant.
    """
    wrong = []
    for word, after in zip(words, [*words, ""][1:], strict=True):
        option, equals, value = word.partition("=")
        key = option.removeprefix("--").replace("-", "_")
        if option.startswith("--") and option not in options and key.split(".")[0] in settings:
            given = value if equals else "" if after.startswith("-") or "=" in after else after
            wrong.append(f"{word if equals else f'{option} {given}'.strip()}: write {key}={given or '...'}")
    if wrong:
        raise SettingsError("settings have no dashes:\n  " + "\n  ".join(wrong))


def terminal_width() -> int:
    """Columns of the terminal, or what the variable COLUMNS says."""
    return max(shutil.get_terminal_size().columns, 20)


def settings_help(config_class: type[Settings], command_path: str) -> Iterator[str]:
    """All top-level settings, and how to see what lies below them."""
    yield from ("", *_wrapped("Settings (KEY=VALUE; groups by dotted keys, such as group.part=1):"))
    entries = whole(config_class).parts[0][1]
    for entry in entries:
        assert entry.field is not None
        yield from _row(entry.key, explain(entry.field))
    groups = [entry.key for entry in entries if entry.is_group]
    name = command_path.rpartition(" ")[2]
    program = command_path.removesuffix(name).strip()
    if groups:
        yield from ("", *_wrapped(f"The settings of a group: {command_path} --help GROUP, where GROUP is one of:"))
        yield from _wrapped(", ".join(groups), indent=2)
    if name:
        yield from _wrapped(f"All settings with their values: {program} settings {name} [FILE] [KEY=VALUE]...")


def group_help(config_class: type[Settings], key: str) -> Iterator[str]:
    """All about a setting or a group: its parts, and for a union each member with its own.

    Raises:
        SettingsError: if there is no such setting.
    """
    found = find(config_class, key)
    if all(entry.is_tag for entry in found):
        yield from (f"  {key} is one of:", *(line for entry in found for line in _choice(entry)), "")
        return
    for entry in found:
        if not entry.is_group:
            yield from (*_setting(entry), "")
            continue
        assert entry.field is not None
        yield from _row(entry.key, f"{explain(entry.field)}{_entries(entry)}")
        tag = entry.place.discriminator
        if tag:
            yield from _wrapped(f"{entry.key}.{tag} is one of: {', '.join(entry.place.members)}", indent=2)
        for each, parts in entry.parts:
            yield ""
            member = next((name for name, other in entry.place.members.items() if other is each), "")
            yield from _wrapped((f"{entry.key}.{tag}={member}: " if member else "") + first_paragraph(each))
            for part in parts:
                if not (tag and part.is_tag):
                    yield from _setting(part)
        yield ""


def explain(field: FieldInfo) -> str:
    """Describe a setting: its effect, and its default."""
    text = " ".join((field.description or "").split())
    if field.is_required():
        return f"{text} Required."
    default = field.get_default(call_default_factory=True)
    tag = field_slot(field).discriminator
    if isinstance(default, Settings):
        told = f"Default: {getattr(default, tag)}" if tag else f"Parts: {', '.join(type(default).model_fields)}"
        return f"{text} {told}."
    if isinstance(default, tuple) and any(isinstance(each, Settings) for each in default):
        return f"{text} Default: {', '.join(str(getattr(each, 'name', each)) for each in default)}."
    return f"{text} Default: {one_line(default)}."


def first_paragraph(config_class: type) -> str:
    """The first paragraph of a class's docstring."""
    return " ".join(inspect.cleandoc(config_class.__doc__ or "").split("\n\n")[0].split())


def _setting(entry: Entry) -> Iterator[str]:
    assert entry.field is not None
    if entry.is_group:
        yield from _row(entry.key, f"{explain(entry.field)} A group: --help {entry.key}")
    else:
        yield from _row(entry.key, f"{explain(entry.field)} Allowed: {allowed(entry.field)}.")


def _entries(entry: Entry) -> str:
    """The dotted keys of the entries of a list or a dict of groups; empty for a single group."""
    place = field_slot(entry.field) if entry.field else None
    if place is None or place.item is None:
        return ""
    return f" Entries: {entry.key}.0, {entry.key}.1, ..." if place.is_sequence else f" Entries: {entry.key}.{ANY_KEY}"


def _choice(entry: Entry) -> Iterator[str]:
    """A member of a union: its name, and what it is."""
    assert entry.field is not None
    assert entry.owner is not None
    yield from _row(one_line(entry.field.default), first_paragraph(entry.owner), indent=4)


def _row(key: str, text: str, *, indent: int = 2) -> Iterator[str]:
    """A key and its explanation below it; the key is never cut."""
    yield " " * indent + key
    yield from _wrapped(text, indent=indent + 4)


def _wrapped(text: str, *, indent: int = 0) -> Sequence[str]:
    space = " " * indent
    return textwrap.wrap(
        text,
        max(terminal_width() - 1, indent + 16),
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )
