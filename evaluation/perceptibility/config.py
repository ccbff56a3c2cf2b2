"""The settings of a look at an evaluation's stored adversarial clips."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from preprocessing.settings import Settings
from preprocessing.storage.places import Place

MIN_EXPORTED_PIXELS = 224
"""Unless `enlarge` says otherwise, exported frames have at least so many pixels on a side."""

JpegQuality = Annotated[int, Field(ge=1, le=100)]


class PerceptibilityConfig(Settings):
    """A finished evaluation -> how visible and audible its stored adversarial clips are, and which survive as files."""

    evaluation: str = Field(min_length=1)
    """Folder of a finished evaluation that has stored perturbations. The first word without `=` stands for it. Looked
    at are the attacks of its list, under the threat model of its headline number."""
    output: str = Field(min_length=1)
    """Folder that receives perceptibility.json, perceptibility.html, perceptibility.parquet and the exported clips."""
    checkpoint: str | None = Field(default=None, min_length=1)
    """Folder in which the evaluation's checkpoint is now; unset = where its report says."""
    data: Place | None = None
    """Place at which the evaluation's data set is now; unset = where its report says, if that is a folder."""
    model: str | None = Field(default=None, min_length=1)
    """Factory of the evaluation's model, if that is of another maker, as its report names it: code that a report names
    is run only if it is named here too."""
    clips: PositiveInt = 4
    """Clips that are exported and shown, under the attack that fools most: of those that it fools, from the most to the
    least visible; if they are too few, others."""
    enlarge: PositiveInt | None = None
    """Factor by which frames are enlarged in exported movies (nearest neighbour); unset = the smallest whole one with
    which they have 224 pixels on a side."""
    crf: int = Field(default=23, ge=0, le=51)
    """Quality of H.264 as a platform would compress it: 23 is x264's own choice, more is coarser."""
    jpeg_qualities: tuple[JpegQuality, ...] = (90, 75)
    """Qualities of JPEG (4:2:0) at which frames are stored and classified again."""
    aac_kbps: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
    """Rates of AAC in kbit/s at which waveforms are stored and classified again; exported movies have the first. AAC
    takes 6 bits per sample at most: 96 kbit/s at 16 kHz, whatever more is asked for."""
    batch_size: PositiveInt = 16
    """Clips per forward pass. It sets the memory that is needed and changes no result."""
    num_resamples: PositiveInt = 2000
    """Bootstrap draws behind each interval."""
    seed: NonNegativeInt = 0
    """Seed of the bootstrap."""

    @model_validator(mode="after")
    def _nothing_is_listed_twice(self) -> PerceptibilityConfig:
        listed: dict[str, tuple[int, ...]] = {"jpeg_qualities": self.jpeg_qualities, "aac_kbps": self.aac_kbps}
        for name, values in listed.items():
            if repeated := sorted({each for each in values if values.count(each) > 1}):
                raise ValueError(f"{name}: {', '.join(map(str, repeated))} is listed more than once; remove it")
        return self

    def enlargement(self, frame_size: int) -> int:
        """The factor by which frames of this size are enlarged."""
        return self.enlarge or -(-MIN_EXPORTED_PIXELS // frame_size)
