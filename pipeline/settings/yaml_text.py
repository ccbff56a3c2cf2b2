"""YAML as people write it, read and written: `1e-3` is a number, and a key given twice is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path, PurePath
from typing import Any

import yaml

from pipeline.settings.problems import ConfigError
from preprocessing.errors import DataError
from preprocessing.storage.parsing import MAX_YAML_BYTES, BoundedLoader, parse_yaml, read_regular

_FLOAT = ("tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789"))

YAML_ENDINGS = (".yaml", ".yml")

SHIPPED = Path("pipeline", "configs")
"""The folder of the settings that come with the package, as README and docs name it."""
_PACKAGES = Path(__file__).resolve().parents[2]


class _Loader(BoundedLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for name, _ in node.value:
            key = self.construct_object(name, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' is given twice", name.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that `_Loader` would take for numbers, and those with the line breaks that YAML folds."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(each in text for each in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)

_Loader.add_implicit_resolver(*_FLOAT)
_Dumper.add_implicit_resolver(*_FLOAT)


def parse(text: str) -> Any:
    """Parse a piece of YAML.

    Raises:
        yaml.YAMLError: if it is none.
    """
    return parse_yaml(text, loader=_Loader)


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping that `file` holds.

    `pipeline/configs/...` names a file that comes with the package, wherever it is installed, unless the current
    folder has one of that name.

    Raises:
        ConfigError: if the file is missing, not YAML or not a mapping.
    """
    is_shipped = file.is_relative_to(SHIPPED) and not file.exists()
    try:
        tree = parse(read_regular(_PACKAGES / file if is_shipped else file, max_bytes=MAX_YAML_BYTES).decode())
    except FileNotFoundError as error:
        raise ConfigError([f"the file does not exist (the current folder is '{Path.cwd()}')"], f"'{file}'") from error
    except (OSError, DataError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([f"cannot be read as YAML: {' '.join(str(error).split())}"], f"'{file}'") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError([f"holds a {type(tree).__name__}; allowed: `key: value` lines"], f"'{file}'")
    return tree


def to_yaml(tree: object) -> str:
    """Plain data as YAML text, a line per setting."""
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def one_line(value: object) -> str:
    """A value as it is typed on the command line or in YAML, in one line."""
    text: str = yaml.dump(
        _plain(value), Dumper=_Dumper, default_flow_style=True, width=2**31, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: object) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return str(value) if isinstance(value, PurePath) else value
