"""What every data set shares: its roots."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from preprocessing.datasets import Folder
from preprocessing.datasets.base import locate, proper


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_a_class_has_one_name_however_its_accents_are_stored() -> None:
    assert proper("cafe\u0301 ") == proper("caf\u00e9") == "caf\u00e9"


def test_a_source_is_found_in_the_first_root_that_has_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    touch(one / "both.mp4", two / "both.mp4", two / "second.mp4")
    (two / "broken_link.mp4").symlink_to("nowhere")
    sources = ("both.mp4", "second.mp4", "broken_link.mp4", "missing.mp4")
    expected = [(root / source, root) for root, source in zip((one, two, two, one), sources, strict=True)]
    assert [locate(source, [one, two]) for source in sources] == expected


def test_a_link_leads_into_another_root_but_not_out_of_all(tmp_path: Path) -> None:
    """Archives offer class folders of links to flat files; the decoder refuses what lies outside its root."""
    links, flat, elsewhere = tmp_path / "links", tmp_path / "flat", tmp_path / "elsewhere"
    touch(links / "here.mp4", flat / "video.mp4", elsewhere / "secret.mp4")
    (links / "inside.mp4").symlink_to("here.mp4")
    (links / "flat.mp4").symlink_to(flat / "video.mp4")
    (links / "outside.mp4").symlink_to(elsewhere / "secret.mp4")
    assert locate("flat.mp4", [links, flat]) == (flat / "video.mp4", flat)
    assert locate("inside.mp4", [links, flat]) == (links / "inside.mp4", links)
    assert locate("outside.mp4", [links, flat]) == (links / "outside.mp4", links)


@pytest.mark.parametrize("root", [5, [], ["/a", 5], None])
def test_anything_but_folders_is_no_root(root: object) -> None:
    with pytest.raises(ValidationError, match=r"allowed: a folder, or several as \[DIR, DIR\]") as error:
        Folder.model_validate({"root": root})
    assert error.value.error_count() == 1


def test_one_root_or_several_can_be_given() -> None:
    assert Folder.model_validate({"root": "/a"}).roots == (Path("/a"),)
    assert Folder.model_validate({"root": ["/a", "/b"]}).roots == (Path("/a"), Path("/b"))


@pytest.mark.parametrize(
    ("roots", "message"),
    [
        (["one", "gone", "file"], r"dataset\.root: '.*/gone' is not a folder; '.*/file' is not a folder; set it to"),
        (["one", "one/inner"], r"'.*/one/inner' lies inside '.*/one'; .*several apart"),
        (["one", "link"], r"'.*/one' lies inside '.*/link'"),
    ],
)
def test_roots_must_be_folders_apart(roots: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "one/inner").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("one")
    with pytest.raises(ValueError, match=message):
        Folder(root=tuple(tmp_path / root for root in roots)).prepare()
