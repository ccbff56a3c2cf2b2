"""The shell of every page the project writes: one HTML file that needs nothing else, no network and no other file."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from preprocessing.reporting.terminal import printable


def page_environment(package: str) -> Environment:
    """The templates of `package`, which extend `page.html.jinja`; everything they print is escaped.

    Characters that turn the direction of writing, or have no look, are escaped, too. The shell forbids scripts and
    everything from elsewhere (Content-Security-Policy), and has a dark and a light look.
    """
    return Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("preprocessing.reporting", "")]),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    return value if not isinstance(value, str) or isinstance(value, Markup) else printable(value)
