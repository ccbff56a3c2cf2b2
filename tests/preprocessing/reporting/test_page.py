from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from preprocessing.reporting.page import page_environment

PACKAGES = ("preprocessing", "evaluation")
PAGE = (
    '{% extends "page.html.jinja" %}{% block title %}{{ title }}{% endblock %}{% block body %}{{ body }}{% endblock %}'
)


def test_a_page_prints_nothing_that_a_browser_would_run() -> None:
    text = (
        page_environment("preprocessing.reporting")
        .from_string(PAGE)
        .render(title="</title><script>", body="<img onerror=x>")
    )
    assert "&lt;/title&gt;&lt;script&gt;" in text
    assert "&lt;img onerror=x&gt;" in text


def test_a_name_turns_no_page_around() -> None:
    text = page_environment("preprocessing.reporting").from_string(PAGE).render(title="a\u202eb\x1b", body="c\nd")
    assert "a\\u202eb\\x1b" in text
    assert "c\nd" in text


def test_a_page_forbids_scripts_and_everything_from_elsewhere() -> None:
    text = page_environment("preprocessing.reporting").from_string(PAGE).render(title="", body="")
    policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text


def test_a_value_that_nobody_gave_is_an_error_and_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError, match="'body' is undefined"):
        page_environment("preprocessing.reporting").from_string(PAGE).render(title="")


def test_no_page_is_dark_on_paper() -> None:
    """A dark rule that is not for screens alone would hold in print, too."""
    root = Path(__file__).parents[3]
    templates = {path.name: path.read_text() for package in PACKAGES for path in (root / package).rglob("*.jinja")}
    assert "page.html.jinja" in templates
    for name, text in templates.items():
        dark = re.findall(r"(.{0,11})\(prefers-color-scheme: dark\)", text)
        assert set(dark) <= {"screen and "}, name
