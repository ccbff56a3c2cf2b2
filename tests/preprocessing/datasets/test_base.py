"""What every data set shares: its roots."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from preprocessing.datasets import Folder
from preprocessing.datasets.base import Locator, Shares, locate, proper


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


def test_many_files_are_found_as_each_one_is(tmp_path: Path) -> None:
    """Folders are resolved once, also those that links lead through or out of the roots."""
    links, flat, elsewhere = tmp_path / "links", tmp_path / "flat", tmp_path / "elsewhere"
    touch(flat / "a/1.mp4", flat / "a/2.mp4", elsewhere / "3.mp4", links / "own/4.mp4")
    (links / "a").symlink_to(flat / "a")
    (links / "out").symlink_to(elsewhere)
    (flat / "a/5.mp4").symlink_to(elsewhere / "3.mp4")
    roots = [links, flat]
    locator = Locator(roots)
    found = {source: locator.locate(source) for source in ("a/1.mp4", "a/2.mp4", "out/3.mp4", "own/4.mp4", "a/5.mp4")}
    assert found == {source: locate(source, roots) for source in found}
    assert found["a/2.mp4"] == (flat / "a/2.mp4", flat)
    assert found["out/3.mp4"] == (links / "out/3.mp4", links)
    assert found["a/5.mp4"] == (links / "a/5.mp4", links)


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


def drawn(shares: Shares, class_name: str, count: int) -> Counter[str]:
    return Counter(shares.draw((class_name, f"{class_name}{number}.mp4") for number in range(count)).values())


@pytest.mark.parametrize("class_name", ["a", "congas", "electric_bass"])
@pytest.mark.parametrize("count", [3, 4, 9, 20])
def test_no_split_of_a_class_is_empty_where_there_are_videos_enough(class_name: str, count: int) -> None:
    found = drawn(Shares(), class_name, count)
    assert found.keys() == {"train", "validation", "test"}
    assert found["train"] >= count // 3
    assert drawn(Shares(validation=0.45, test=0.45), class_name, count).keys() == found.keys()
    assert drawn(Shares(test=0), class_name, count).keys() == {"train", "validation"}


def test_a_class_that_the_names_divide_well_is_divided_by_them_alone() -> None:
    """So adding a video moves no other, and data sets of earlier versions stay as they are."""
    shares = Shares(validation=0.2, test=0.2)
    names = [f"{number}.mp4" for number in range(60)]
    assert shares.draw(("a", name) for name in names) == {("a", name): shares.split_of(name) for name in names}


def test_too_few_videos_are_divided_by_their_names() -> None:
    shares = Shares()
    assert shares.draw([("a", "1.mp4"), ("b", "1.mp4")]) == {
        ("a", "1.mp4"): shares.split_of("1.mp4"),
        ("b", "1.mp4"): shares.split_of("1.mp4"),
    }


def test_the_order_of_the_videos_does_not_change_the_draw() -> None:
    videos = [("a", f"{number}.mp4") for number in range(5)]
    assert Shares().draw(videos) == Shares().draw(reversed(videos))
