"""Settings of `inspect`."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from preprocessing.settings import Settings


class Thresholds(Settings):
    """Limits beyond which a clip is suspicious: it then stands on the page before all others."""

    min_coverage: float = Field(default=0.95, ge=0, le=1)
    """Share of the clip that real sound, and real picture where it is recorded, should cover."""
    silence_dbfs: float = Field(default=-60.0, le=0)
    """Sound below this level (root mean square, 0 dBFS = full scale) is taken for silence."""
    max_saturation_share: float = Field(default=0.01, ge=0, le=1)
    """Share of the log-mel values that may be clipped at the top of their range."""
    max_decode_errors: NonNegativeInt = 0
    """Packets that may have failed to decode."""
    max_missing_frames: NonNegativeInt = 0
    """Frames that may be those before them because they failed to decode."""
    max_frame_age_seconds: PositiveFloat = 0.5
    """Longest time that a stored frame may have been shown by the middle of its segment: longer, the picture hangs."""
    min_motion_levels: NonNegativeFloat = 0.5
    """Mean change between neighbouring frames, in levels of 8 bit. Below it the picture stands still."""
    min_contrast_levels: NonNegativeFloat = 2.0
    """Standard deviation within the frames, in levels of 8 bit. Below it the picture is blank."""


class InspectConfig(Settings):
    """A data set -> one HTML page."""

    output: str | None = None
    """The page: a file or any fsspec URL. None: `inspect.html` in the data set's folder."""
    clips: PositiveInt = 24
    """Clips on the contact sheet, drawn from all classes in turn."""
    suspicious: NonNegativeInt = 8
    """Most suspicious clips that are shown, each kind of trouble in turn, the worst first."""
    max_measured: PositiveInt = 2000
    """Clips that are read and measured for trouble and distributions; of more, so many are drawn at random."""
    seed: int = 0
    """Decides which clips are drawn."""
    megabytes: PositiveFloat = 8.0
    """Largest size of the page, in 10^6 bytes. What does not fit is left out, and the page says so: first the sound of
    the last clips, then the last clips."""
    picture_pixels: PositiveInt = Field(default=112, ge=16)
    """Largest side of a frame on the page; smaller stored frames stay as they are."""
    max_columns: PositiveInt = 12
    """Segments shown of a clip; of more, so many are taken evenly."""
    thresholds: Thresholds = Thresholds()
    """Limits beyond which a clip is suspicious."""
