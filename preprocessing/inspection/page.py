"""The page: clips, counts and distributions put together, never larger than it may be."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import yaml
from jinja2 import Environment

from preprocessing.datasets.accounting import lines
from preprocessing.errors import SettingsError
from preprocessing.inspection.cards import Card
from preprocessing.inspection.config import InspectConfig
from preprocessing.inspection.counts import class_counts, reason_counts, with_bars
from preprocessing.inspection.histograms import histograms
from preprocessing.inspection.measuring import Measured
from preprocessing.inspection.stored import StoredDataset
from preprocessing.inspection.trouble import Trouble
from preprocessing.reporting.page import page_environment
from preprocessing.schema import LOGMEL_MAX_DB, LOGMEL_MIN_DB

PLAYER_BYTES = 300
"""Size of a player beside its sound, rounded up."""


@dataclass(frozen=True)
class Cards:
    """The clips on the page."""

    suspicious: tuple[Card, ...]
    sheet: tuple[Card, ...]
    """The contact sheet."""

    @property
    def num_silent(self) -> int:
        """Clips without their sound."""
        return sum(not card.has_sound for card in (*self.suspicious, *self.sheet))

    def first(self, count: int) -> Cards:
        """The first `count` clips, suspicious ones before the sheet."""
        return Cards(self.suspicious[:count], self.sheet[: max(count - len(self.suspicious), 0)])

    def with_sounds(self, room: int) -> Cards:
        """With as many sounds as fit into `room` bytes, in order."""
        filled: list[Card] = []
        for card in (*self.suspicious, *self.sheet):
            cost = len(card.sound) + PLAYER_BYTES
            fits = cost <= room
            room -= cost if fits else 0
            filled.append(replace(card, has_sound=fits))
        return Cards(tuple(filled[: len(self.suspicious)]), tuple(filled[len(self.suspicious) :]))

    def __len__(self) -> int:
        return len(self.suspicious) + len(self.sheet)


def inspection_page(
    dataset: StoredDataset, measured: Measured, trouble: Trouble, cards: Cards, config: InspectConfig
) -> bytes:
    """The page as HTML in UTF-8, of at most `config.megabytes`.

    Raises:
        ValueError: if it would be larger even without any clip.
    """
    most_bytes = int(config.megabytes * 1e6)
    facts = facts_of(dataset, measured, trouble, config)
    shown = cards
    while (num_bytes := len(render(shown, asked=cards, **facts))) > most_bytes and len(shown):
        share = most_bytes / num_bytes
        shown = shown.first(min(int(share * len(shown)), len(shown) - 1))
    if num_bytes > most_bytes:
        raise SettingsError(
            f"megabytes={config.megabytes:g}: the page has {size(num_bytes)} without any clip; raise megabytes"
        )
    return render(shown.with_sounds(most_bytes - num_bytes), asked=cards, **facts)


def facts_of(dataset: StoredDataset, measured: Measured, trouble: Trouble, config: InspectConfig) -> dict[str, Any]:
    """Everything the page says beside the clips."""
    num_stored = sum(dataset.num_clips.values())
    unreadable = [("unreadable", len(measured.unreadable))] if measured.unreadable else []
    return {
        "dataset": dataset,
        "num_stored": num_stored,
        "num_asked": num_stored + len(dataset.rejected),
        "measured": measured,
        "trouble": trouble,
        "trouble_counts": with_bars(unreadable + trouble.counts, full=measured.num_read),
        "quietest_db": LOGMEL_MIN_DB,
        "loudest_db": LOGMEL_MAX_DB,
        "config": config,
        "classes": class_counts(dataset),
        "reasons": reason_counts(dataset),
        "seen": lines(dataset.accounting) if dataset.accounting else [],
        "histograms": histograms(measured.clips, config.thresholds, dataset.format),
        "settings": yaml.safe_dump(dataset.settings, sort_keys=False, allow_unicode=True),
    }


def render(cards: Cards, *, asked: Cards, **facts: Any) -> bytes:
    """Fill the template; what is no UTF-8 in a file's name becomes a question mark."""
    text = _environment().get_template("inspection.html.jinja").render(cards=cards, asked=asked, **facts)
    return text.encode("utf-8", "replace")


def percent(share: float) -> str:
    """`99.4 %`; 100 and 0 only if it is all or nothing."""
    if 0.9995 <= share < 1 or 0 < share < 0.0005:
        return "> 99.9 %" if share > 0.5 else "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 1 else "100 %"


def size(num_bytes: int) -> str:
    """`138.1 MB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:,.1f} {unit}"
    return f"{num_bytes / 1e3:,.1f} kB"


@functools.cache
def _environment() -> Environment:
    environment = page_environment("preprocessing.inspection")
    environment.filters.update(percent=percent, size=size)
    return environment
