"""The data sets that can be preprocessed. Add one: a file here, and a name in the union."""

from typing import Annotated

from pydantic import Field

from preprocessing.datasets.base import Dataset, Listing, Shares, Video
from preprocessing.datasets.demo.dataset import Demo
from preprocessing.datasets.folder import Folder
from preprocessing.datasets.kinetics_sounds import KineticsSounds
from preprocessing.datasets.music import Music
from preprocessing.datasets.video_list import VideoList

AnyDataset = Annotated[KineticsSounds | Music | Folder | VideoList | Demo, Field(discriminator="name")]

__all__ = [
    "AnyDataset",
    "Dataset",
    "Demo",
    "Folder",
    "KineticsSounds",
    "Listing",
    "Music",
    "Shares",
    "Video",
    "VideoList",
]
