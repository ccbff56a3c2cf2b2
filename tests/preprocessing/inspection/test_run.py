"""From a data set to a page, in files and in a store."""

from __future__ import annotations

import base64
import logging
import shutil
from html.parser import HTMLParser
from pathlib import Path

import fsspec
import pytest

from preprocessing.inspection.config import InspectConfig
from preprocessing.inspection.run import Inspection, inspect
from preprocessing.inspection.stored import find_dataset
from preprocessing.run import verify

HOSTILE = ("<script>alert(1)<", '"><script>alert(2)<')


class Page(HTMLParser):
    """What a page loads, says and links to, and whether its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.without_words: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.tags.append(tag)
        self.loads += [values[name] or "" for name in ("src", "srcset", "data", "action") if name in values]
        self.links += [values["href"] or ""] if tag == "a" else []
        self.ids += [values["id"] or ""] if "id" in values else []
        if (tag == "img" and not values.get("alt")) or (tag == "audio" and not values.get("aria-label")):
            self.without_words.append(tag)
        assert not any(name.startswith("on") for name in values), values
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def read(path: Path) -> Page:
    return Page(path.read_text())


@pytest.fixture(scope="module")
def page(troubled: Path) -> Page:
    """The page of a data set with trouble, with all its clips."""
    inspect(str(troubled), InspectConfig(output=str(troubled.parent / "page.html")))
    return read(troubled.parent / "page.html")


def test_the_page_needs_nothing_else(page: Page) -> None:
    assert page.open == []
    assert page.loads
    assert all(load.startswith(("data:image/jpeg;base64,", "data:audio/flac;base64,")) for load in page.loads)
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(page.tags)


def test_hostile_names_are_words_and_nothing_else(page: Page) -> None:
    """Names of a class and of a file end tags and begin scripts; both are read as they are."""
    assert all(name in page.words for name in HOSTILE)
    assert "script" not in page.tags


def test_everything_to_see_or_hear_has_words_and_every_link_a_place(page: Page) -> None:
    assert page.without_words == []
    assert page.links == [f"#{name}" for name in page.ids]
    assert page.ids == ["trouble", "clips", "classes", "seen", "rejected", "distributions", "made"]


def test_the_account_of_what_was_seen_is_on_the_page(page: Page) -> None:
    account = page.words.split("Seen in folders and lists")[1]
    assert "class_folders: <class>/<name>.mp4" in account
    assert "15, 15 used (.mp4 15)" in account


def test_trouble_comes_first_and_says_what_it_is(page: Page) -> None:
    trouble, sheet = page.words.split("Contact sheet")[1:3]
    assert "audio covers 5" in trouble
    assert "singing/half.mp4" in trouble
    for words in ("silent: sound at -100 dBFS", "still picture: frames differ by 0.0", "singing/silent.mp4"):
        assert words in trouble
    assert "playing" not in trouble
    assert "14 clips, drawn from all classes in turn with seed 0" in sheet


def test_every_column_shows_a_frame_and_a_patch_of_every_clip(page: Page) -> None:
    """16 cards (14 on the sheet, two of them suspicious, too) of four segments, each with its sound."""
    assert sum(load.startswith("data:image/jpeg") for load in page.loads) == 16 * 4 * 2
    assert sum(load.startswith("data:audio/flac") for load in page.loads) == 16
    assert page.tags.count("article") == 16


def test_the_sound_is_the_stored_one(page: Page, troubled: Path) -> None:
    dataset = find_dataset(str(troubled))
    stored = {dataset.read(clip).flac for clip in dataset.clips}
    played = {base64.b64decode(load.partition(",")[2]) for load in page.loads if "audio" in load}
    assert played == stored


def test_rejections_are_listed_with_their_reason_and_detail(page: Page) -> None:
    left_out = page.words.split("Left out")[-1]
    assert "not_media" in left_out
    assert "no MP4, MOV, Matroska, WebM, MPEG-TS or .avi file" in left_out
    assert "6.7 % of 15 videos" in page.words


def test_a_finished_data_set_names_its_content_and_settings(page: Page, troubled: Path) -> None:
    made = page.words.split("How it was made")[-1]
    assert str(find_dataset(str(troubled)).content_sha256) in made
    assert "missing_tail: pad" in made


def test_the_same_data_set_gives_the_same_page(tiny_dataset: Path, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        inspect(str(tiny_dataset), InspectConfig(output=str(tmp_path / name), clips=3))
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_sample_is_said_to_be_one(tiny_dataset: Path, tmp_path: Path) -> None:
    found = inspect(str(tiny_dataset), InspectConfig(output=str(tmp_path / "page.html"), max_measured=10, clips=4))
    assert (found.num_clips, found.num_measured) == (40, 10)
    words = read(tmp_path / "page.html").words
    assert "10 of 40 clips, drawn at random with seed 0" in words
    assert "Measured on a sample" in words


@pytest.mark.parametrize(
    ("megabytes", "says"),
    [(0.8, "without sound here; the page may have 0.8 MB"), (0.05, "more clips were asked for")],
)
def test_a_page_is_never_larger_than_it_may_be(megabytes: float, says: str, tiny_dataset: Path, tmp_path: Path) -> None:
    found = inspect(str(tiny_dataset), InspectConfig(output=str(tmp_path / "page.html"), megabytes=megabytes))
    assert found.page_bytes == (tmp_path / "page.html").stat().st_size <= megabytes * 1e6
    assert says in read(tmp_path / "page.html").words


def test_a_page_that_cannot_be_so_small_is_the_users_mistake(tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"megabytes=0.001: the page has [\d.]+ kB without any clip"):
        inspect(str(tiny_dataset), InspectConfig(output=str(tmp_path / "page.html"), megabytes=0.001))
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_and_damaged_data_set_has_a_page_too(tiny_dataset: Path, tmp_path: Path) -> None:
    """One shard is not there yet, and one clip of another is destroyed."""
    copy = shutil.copytree(tiny_dataset, tmp_path / "shards")
    for name in ("dataset.json", "rejected.csv", "train/000000.json", "train/000000.tar"):
        (copy / name).unlink()
    clip = next(find_dataset(str(copy)).clips)
    with (copy / clip.shard).open("r+b") as file:
        file.seek(clip.sample.offset)
        file.write(b"?" * clip.sample.length)
    found = inspect(str(copy), InspectConfig(clips=2))
    assert found == Inspection(
        page=f"{copy}/inspect.html",
        page_bytes=(copy / "inspect.html").stat().st_size,
        num_clips=30,
        num_measured=30,
        num_suspicious=0,
        num_unreadable=1,
        num_rejected=0,
        num_missing_shards=1,
    )
    words = read(copy / "inspect.html").words
    assert "Not finished. 4 of 5 shards are there" in " ".join(words.split())
    assert "train/000000.tar: not there yet" in words
    assert "1 clip cannot be read." in words
    assert clip.sample.key in words


def test_a_data_set_with_its_page_is_still_whole(tiny_dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_dataset, tmp_path / "shards")
    inspect(str(copy), InspectConfig(clips=1))
    assert (copy / "inspect.html").exists()
    assert verify(str(copy)) == []


def test_a_data_set_without_a_single_clip_has_a_page(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    shutil.copy(tiny_dataset / "plan.json", tmp_path / "shards")
    assert inspect(str(tmp_path / "shards"), InspectConfig()).num_clips == 0
    words = read(tmp_path / "shards/inspect.html").words
    assert "No clip could be measured" in words
    assert "None of the 0 clips measured" not in words


def test_a_data_set_in_a_store_is_read_and_gets_its_page_there(tiny_dataset: Path, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    store.put(str(tiny_dataset), "/inspected", recursive=True)
    try:
        found = inspect("memory://inspected", InspectConfig(clips=2))
        assert (found.page, found.num_measured, found.num_unreadable) == ("memory://inspected/inspect.html", 40, 0)
        there = store.cat_file("/inspected/inspect.html").decode()
    finally:
        store.rm("/inspected", recursive=True)
    inspect(str(tiny_dataset), InspectConfig(clips=2, output=str(tmp_path / "page.html")))
    assert there.replace("memory://inspected", str(tiny_dataset)) == (tmp_path / "page.html").read_text()


def test_a_place_that_cannot_be_written_is_the_users_mistake(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        ValueError, match=r"the folder of output=.*/file' cannot be used as a folder: .* choose another place"
    ):
        inspect(str(tiny_dataset), InspectConfig(output=str(tmp_path / "file" / "page.html"), clips=1))


def test_the_log_tells_where_the_page_is(tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        inspect(str(tiny_dataset), InspectConfig(output=str(tmp_path / "page.html"), clips=1))
    assert caplog.messages[0] == f"'{tiny_dataset}': 40 clips in 5 shards, 0 rejected"
    assert caplog.messages[-1].startswith(f"wrote '{tmp_path / 'page.html'}' (")
    assert caplog.messages[-1].endswith("40 of 40 clips measured, 0 suspicious, 0 unreadable")
