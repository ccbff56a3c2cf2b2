"""The page: self-contained, escaped, and saying what must be said."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from evaluation.comparison.evaluations import read_methods
from evaluation.comparison.page import comparison_page
from evaluation.comparison.summary import summarise
from tests.evaluation.comparison.conftest import AWKWARD


class Opened(HTMLParser):
    """Counts the elements that were opened and checks that they are closed in order."""

    EMPTY = ("meta", "link", "img", "source", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(standard: Path, several: tuple[Path, ...], masked: Path) -> str:
    methods = read_methods(dict(zip(AWKWARD, ((standard,), several, (masked,)), strict=True)))
    return comparison_page(summarise(methods, num_draws=100, seed=0), methods, num_draws=100, seed=0)


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    parser = Opened()
    parser.feed(page)
    assert parser.open == []
    assert parser.seen.count("table") == 2
    assert page.count('srcset="data:image/svg+xml;base64,') == page.count('src="data:image/svg+xml;base64,') == 3
    assert page.count("(prefers-color-scheme: dark)") > 3
    assert "://" not in page
    assert "<script" not in page


def test_names_are_escaped(page: str) -> None:
    assert "rob &amp; &lt;ü&gt; $x$" in page
    assert "<ü>" not in page


def test_the_page_says_what_is_withheld_doubted_and_found(page: str) -> None:
    assert "the headline number is withheld.</strong>" in page
    assert "<li>fog</li>" in page
    assert page.count("at most 100.0 %") == 3
    assert "std_50% was trained once" in page
    assert "for all 7 comparisons" in page
    assert "Nothing else of the two is compared." in page
    assert "sd 10.0" in page


def test_every_training_is_listed_with_its_making(page: str) -> None:
    assert page.count("trained by tma_curriculum with a version not recorded") == 5
    assert page.count("measured with robust-audio-visual 1.2.3 (abababababab) on a processor") == 5


def test_wide_tables_and_charts_scroll_and_say_so(page: str) -> None:
    assert page.count('<div class="scroll" tabindex="0">') == page.count('class="hint small"') == 5
