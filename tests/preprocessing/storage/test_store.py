"""Where a data set lies: what is read and written, what fails, and what must never be told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from preprocessing.storage.places import redacted, refuse_credentials
from preprocessing.storage.store import Store, is_worth_another_attempt


@pytest.mark.parametrize(
    "place",
    [
        "ftp://user:hush-hush@host/videos",
        "https://hush-hush@host/videos",
        "https://host/videos?X-Amz-Signature=hush-hush",
        "simplecache::sftp://user:hush-hush@host/videos",
    ],
)
def test_places_with_credentials_are_refused_without_repeating_them(place: str) -> None:
    with pytest.raises(ValueError, match="credentials must come from the environment") as error:
        Store(place)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    "place", ["/data/a?b", "runs/a@b:c", "s3://bucket/ks", "sftp://user@host/ks", "abfs://box@account.host/ks"]
)
def test_other_places_are_not(place: str) -> None:
    assert refuse_credentials(place) == place


def test_credentials_are_cut_out_of_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    said = redacted("403 for hush-hush at ftp://me:hash@host and https://host/a?sig=hash, is it open?")
    assert said == "403 for *** at ftp://***@host and https://host/a?*** is it open?"


def test_a_place_of_an_unknown_kind_is_the_users_mistake() -> None:
    with pytest.raises(ValueError, match="'nowhere://a' is neither a folder nor a URL"):
        Store("nowhere://a")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_not_tried_again_and_says_what_to_do(number: int, tmp_path: Path) -> None:
    error = OSError(number, os.strerror(number))
    assert not is_worth_another_attempt(error)
    said = str(Store(str(tmp_path / "new")).failure("write", "train/000000.tar", error))
    assert f"cannot write '{tmp_path}/new/train/000000.tar': no space is left there" in said
    assert "bytes are free" in said
    assert "free some, or raise the quota, then run the same command again: what is finished is kept" in said


def test_what_may_pass_is_tried_again() -> None:
    assert is_worth_another_attempt(OSError(errno.EIO, "input/output error"))
    assert is_worth_another_attempt(ConnectionResetError())
    assert not is_worth_another_attempt(PermissionError())
    assert not is_worth_another_attempt(KeyboardInterrupt())


def test_files_are_read_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train/a").write_bytes(b"12345")
    store = Store(str(tmp_path))
    assert (store.size("train/a"), store.size("train/b"), store.size("train")) == (5, None, None)
    assert store.read("train/a") == b"12345"
    assert store.names() == {"train/a": 5}
    assert store.stream("train/a", lambda stream: stream.read(2)) == b"12"
    with pytest.raises(FileNotFoundError):
        store.read("train/b")
