from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.checks.config import VerifyConfig


def test_several_folders_are_given_with_a_comma(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert VerifyConfig.model_validate({"videos": f"{one},{two}"}).videos == (one, two)
    assert VerifyConfig.model_validate({"videos": [str(one)]}).videos == (one,)


def test_a_folder_that_is_not_there_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'.*/gone' is no folder; give the folders that hold the videos"):
        VerifyConfig.model_validate({"videos": f"{tmp_path},{tmp_path}/gone"})


def test_a_number_of_clips_without_videos_is_refused() -> None:
    with pytest.raises(ValueError, match="clips=5 compares clips with their videos: add videos=DIR"):
        VerifyConfig(clips=5)
