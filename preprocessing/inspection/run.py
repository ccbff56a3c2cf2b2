"""The start of `inspect`: records -> measured clips -> one page."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from preprocessing.errors import PlaceError
from preprocessing.inspection.cards import Card, make_card
from preprocessing.inspection.config import InspectConfig
from preprocessing.inspection.measuring import Measured, Measures, measure_all
from preprocessing.inspection.page import Cards, inspection_page
from preprocessing.inspection.sampling import draw, draw_of_each_class
from preprocessing.inspection.stored import StoredDataset, find_dataset
from preprocessing.inspection.trouble import Trouble, find_trouble, suspicions
from preprocessing.settings import Settings
from preprocessing.storage.atomic_file import write_file
from preprocessing.storage.places import join, require_writable
from preprocessing.storage.store import Store, StoreError

logger = logging.getLogger(__name__)

PAGE_NAME = "inspect.html"


class Inspection(Settings):
    """The numbers that `inspect` reports."""

    page: str
    """The page's file or URL."""
    page_bytes: int
    num_clips: int
    """Clips in the data set."""
    num_measured: int
    num_suspicious: int
    num_unreadable: int
    num_rejected: int
    num_missing_shards: int


def inspect(root: str, config: InspectConfig) -> Inspection:
    """Write a page about the data set at `root` (local folder or fsspec URL), finished or not.

    Records are read whole; of the clips only those that are measured or shown, each by its byte range.

    Raises:
        ValueError: if there is no data set, the page cannot be written, or it cannot be as small as `megabytes` says.
    """
    started = time.monotonic()
    page = config.output or join(root, PAGE_NAME)
    dataset = find_dataset(root)
    refuse_unwritable(page)
    clips = list(dataset.clips)
    logger.info(
        "'%s': %d clips in %d shards, %d rejected", root, len(clips), len(dataset.records), len(dataset.rejected)
    )
    measured = measure_all(dataset, draw(clips, config.max_measured, seed=config.seed))
    trouble = find_trouble(measured.clips, config.thresholds, dataset.format)
    data = inspection_page(dataset, measured, trouble, make_cards(dataset, measured, trouble, config), config)
    write_page(page, data)
    found = Inspection(
        page=page,
        page_bytes=len(data),
        num_clips=len(clips),
        num_measured=measured.num_read,
        num_suspicious=len(trouble.clips),
        num_unreadable=len(measured.unreadable),
        num_rejected=len(dataset.rejected),
        num_missing_shards=len(dataset.missing),
    )
    logger.info(
        "wrote '%s' (%.1f MB, %.1f s): %d of %d clips measured, %d suspicious, %d unreadable",
        found.page,
        found.page_bytes / 1e6,
        time.monotonic() - started,
        found.num_measured,
        found.num_clips,
        found.num_suspicious,
        found.num_unreadable,
    )
    return found


def make_cards(dataset: StoredDataset, measured: Measured, trouble: Trouble, config: InspectConfig) -> Cards:
    """The suspicious clips that are shown, and the contact sheet, which is sorted by class."""
    clips = {clip.stored: clip for clip in measured.clips}
    chosen = draw_of_each_class(clips, config.clips, seed=config.seed)
    chosen.sort(key=lambda clip: (clip.sample.label, clip.sample.key))

    def cards(shown: Sequence[Measures]) -> tuple[Card, ...]:
        return tuple(
            make_card(
                clip,
                dataset.read(clip.stored),
                class_name=clip.record.class_name,
                suspicions=suspicions(clip, config.thresholds, dataset.format),
                picture_pixels=config.picture_pixels,
                max_columns=config.max_columns,
            )
            for clip in shown
        )

    return Cards(cards(trouble.worst(config.suspicious)), cards([clips[each] for each in chosen]))


def refuse_unwritable(page: str) -> None:
    """Refuse a page of this machine that is a folder, or whose folder cannot be written.

    Raises:
        PlaceError: before any clip is read.
    """
    if "://" in page:
        return
    if Path(page).is_dir():
        raise PlaceError(f"output='{page}' is a folder; give the page's file, such as '{join(page, PAGE_NAME)}'")
    require_writable(Path(page).parent, setting="the folder of output")


def write_page(page: str, data: bytes) -> None:
    """Write the page whole or not at all.

    Raises:
        ValueError: if its folder cannot be written.
    """
    folder, _, name = page.rpartition("/")
    try:
        write_file(Store(folder or ("/" if page.startswith("/") else ".")), name, data)
    except (OSError, StoreError) as error:
        raise PlaceError(
            f"the page cannot be written to '{page}' ({error}); set output=FILE to another place"
        ) from error
