"""The shell of every page the project writes: one HTML file that needs nothing else, no network and no other file."""

from __future__ import annotations

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def page_environment(package: str) -> Environment:
    """The templates of `package`, which extend `page.html.jinja`; everything they print is escaped.

    The shell forbids scripts and everything from elsewhere (Content-Security-Policy), and has a dark and a light look.
    """
    return Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("preprocessing.reporting", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
