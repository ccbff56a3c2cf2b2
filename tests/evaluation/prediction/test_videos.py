from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.prediction.videos import VideoFile, is_video, video_files
from preprocessing.decoding.acceptance import DecodeError
from preprocessing.storage.store import Store
from tests.s3_server import S3Server


def test_a_folder_is_walked_to_the_last_and_in_order(tmp_path: Path) -> None:
    for name in ("b/c/z.MKV", "b/a.mp4", "a.webm", "notes.txt", ".hidden.mp4", "b/film.mpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = list(video_files([str(tmp_path)]))
    assert [str(each.path.relative_to(tmp_path)) for each in found] == ["a.webm", "b/a.mp4", "b/c/z.MKV", "b/film.mpg"]
    assert {each.root for each in found} == {tmp_path}


def test_a_file_may_have_any_name_and_be_a_link(tmp_path: Path) -> None:
    """Whoever names it means it; what a folder links to stays inside the folder."""
    (tmp_path / "video").touch()
    (tmp_path / "link").symlink_to("video")
    [found] = video_files([str(tmp_path / "link")])
    assert (found.name, found.path) == (str(tmp_path / "link"), tmp_path / "video")


def test_a_folder_without_videos_is_told(tmp_path: Path) -> None:
    [found] = video_files([str(tmp_path)])
    with pytest.raises(DecodeError, match=r"no_videos: holds no file that ends in .*\.mp4"), found.opened():
        pass


def test_a_video_of_a_bucket_is_here_while_it_is_open(s3: S3Server) -> None:
    Store("s3://bucket").filesystem.pipe_file("bucket/in/deep/a.mp4", b"content")
    Store("s3://bucket").filesystem.pipe_file("bucket/in/readme.txt", b"text")
    [found] = video_files(["s3://bucket/in"])
    assert found.name == "s3://bucket/in/deep/a.mp4"
    with found.opened() as (path, root):
        assert (path.read_bytes(), path.suffix, path.parent) == (b"content", ".mp4", root)
    assert not path.exists()
    [alone] = video_files(["s3://bucket/in/readme.txt"])
    with alone.opened() as (path, _):
        assert path.read_bytes() == b"text"


def test_a_video_that_is_gone_has_a_reason(s3: S3Server) -> None:
    gone = VideoFile("gone", Path("gone.mp4"), store=Store("s3://bucket"))
    with pytest.raises(DecodeError, match=r"missing_file: 's3://bucket/gone\.mp4' does not exist"), gone.opened():
        pass


@pytest.mark.parametrize(("name", "expected"), [("a.MP4", True), ("a.txt", False), ("b/.a.mp4", False), ("mp4", False)])
def test_videos_are_told_by_their_endings(name: str, expected: bool) -> None:
    assert is_video(name) == expected
