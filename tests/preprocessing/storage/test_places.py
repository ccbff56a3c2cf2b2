from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.errors import PlaceError
from preprocessing.storage.places import join, require_writable


def test_what_can_be_written_passes_and_nothing_is_left(tmp_path: Path) -> None:
    require_writable(tmp_path)
    require_writable(tmp_path / "new" / "folder")
    require_writable("s3://bucket/anything")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for place in (file, file / "below"):
        with pytest.raises(PlaceError, match=f"output='{place}' cannot be used as a folder: '{file}' is none"):
            require_writable(place)


@pytest.mark.parametrize("place", ["/proc/new", "/sys/new", "/sys"])
def test_a_place_that_takes_no_files_is_refused(place: str) -> None:
    with pytest.raises(PlaceError, match=f"dataset.root='{place}' cannot be written"):
        require_writable(place, setting="dataset.root")


def test_a_name_that_no_disk_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="File name too long"):
        require_writable(tmp_path / ("a" * 300))


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(PlaceError, match="is none"):
        require_writable(tmp_path / "loop")


def test_names_are_joined_for_folders_and_urls() -> None:
    assert join("/data/", "train/000000.tar") == "/data/train/000000.tar"
    assert join("s3://bucket/data", "dataset.json") == "s3://bucket/data/dataset.json"
