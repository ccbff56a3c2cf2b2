"""Settings of `verify`."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveInt, field_validator, model_validator

from preprocessing.settings import Settings
from preprocessing.storage.places import Place

DEFAULT_CLIPS = 20


class VerifyConfig(Settings):
    """A data set, or a report -> its problems."""

    videos: tuple[Path, ...] = ()
    """Folders of a data set's videos, as DIR or DIR,DIR2: clips are decoded again from them by another decoder, ffmpeg,
    and what is stored is compared. None: only what is stored is checked."""
    checkpoint: str | None = None
    """Of a report: the folder of the checkpoint it is about, on which it is tried again; unset = where it says."""
    data: Place | None = None
    """Of a report: the data set it was measured on; unset = where it says, if that is a folder."""
    model: str | None = None
    """Of a report about a model of another maker: its factory, `package.module:name`, as the report names it. Code that
    a report names is run only if it is named here too; unset = its predictions are not tried again."""
    clips: PositiveInt = DEFAULT_CLIPS
    """Clips compared with their videos, spread evenly over the shards."""

    @field_validator("videos", mode="before")
    @classmethod
    def _one_folder_or_several(cls, videos: object) -> object:
        if isinstance(videos, str):
            return [part for part in videos.split(",") if part]
        return [videos] if isinstance(videos, Path) else videos

    @field_validator("videos")
    @classmethod
    def _are_folders(cls, videos: tuple[Path, ...]) -> tuple[Path, ...]:
        if wrong := [f"'{folder}'" for folder in videos if not folder.is_dir()]:
            raise ValueError(
                f"{', '.join(wrong)} is no folder; give the folders that hold the videos, as DIR or DIR,DIR2"
            )
        return videos

    @model_validator(mode="after")
    def _clips_are_of_videos(self) -> VerifyConfig:
        if self.clips != DEFAULT_CLIPS and not self.videos:
            raise ValueError(f"clips={self.clips} compares clips with their videos: add videos=DIR, or leave clips out")
        return self
