"""The parameters of AVRobustBench (Maharana et al. 2025, arXiv:2506.00358), one line each, by severity 1 to 5.

Lengths are pixels of a picture of 224, shares and colours of [0, 1], ratios decibels. The paper gives no numbers for
what stands under OWN; these are ours, and so are those of its values that are marked.
"""

from __future__ import annotations

Levels = tuple[float, float, float, float, float]
"""A number for each severity, 1 to 5."""

# fmt: off
# Digital                     severity     1      2      3      4      5
GAUSSIAN_SIGMA: Levels              = ( 0.08,  0.12,  0.18,  0.26,  0.38)
IMPULSE_SHARE: Levels               = ( 0.03,  0.06,  0.09,  0.17,  0.27)
SHOT_SCALE: Levels                  = (60.0,  25.0,  12.0,   5.0,   3.0)
SPECKLE_SIGMA: Levels               = ( 0.15,  0.20,  0.35,  0.45,  0.60)
DIGITAL_SNR_DB: Levels              = (40.0,  30.0,  20.0,  10.0,   0.0)  # gaussian, too: there it was 1 to 5
IMPULSE_SOUND_SHARE: float          = 0.05
JPEG_QUALITY: Levels                = (25.0,  18.0,  15.0,  10.0,   7.0)
LOW_PASS_HZ: Levels                 = (8000., 6000., 4000., 2000., 1000.)
LOW_PASS_ORDER: int                 = 6

# Environmental and human-related sounds
NOISE_SNR_DB: Levels                = (20.0,  15.0,  10.0,   5.0,   0.0)

# Environmental
FROST_PICTURE: Levels               = ( 1.00,  0.80,  0.70,  0.65,  0.60)
FROST_ICE: Levels                   = ( 0.40,  0.60,  0.70,  0.70,  0.75)
WIND_RADIUS: Levels                 = (10.0,  15.0,  15.0,  15.0,  20.0)
WIND_SIGMA: Levels                  = ( 3.0,   5.0,   8.0,  12.0,  15.0)
WIND_MAX_DEGREES: float             = 45.0
UNDERWATER_RED: Levels              = ( 0.90,  0.70,  0.50,  0.30,  0.10)
UNDERWATER_CONTRAST: Levels         = ( 0.90,  0.80,  0.70,  0.60,  0.50)

# Human-related
CONCERT_BRIGHTNESS: Levels          = ( 0.10,  0.20,  0.30,  0.40,  0.50)
SMOKE_AMOUNT: Levels                = ( 1.50,  2.00,  2.50,  2.75,  3.00)  # 4 was 2.5, as 3: it grew rougher instead
CROWD_SIDE: Levels                  = ( 0.10,  0.20,  0.30,  0.40,  0.50)
INTERFERENCE_MAX_DEGREES: Levels    = (11.0,  17.0,  23.0,  29.0,  35.0)
INTERFERENCE_MUTED: Levels          = ( 0.10,  0.20,  0.30,  0.40,  0.50)
INTERFERENCE_CHUNK_SECONDS: float   = 2.0

# OWN
SNOW_COVERAGE: Levels               = ( 0.04,  0.08,  0.13,  0.19,  0.26)
SNOW_WHITENING: Levels              = ( 0.10,  0.18,  0.26,  0.34,  0.42)
RAIN_COVERAGE: Levels               = ( 0.04,  0.08,  0.13,  0.19,  0.26)
RAIN_DIMMING: Levels                = ( 0.06,  0.12,  0.18,  0.24,  0.30)
SPATTER_COVERAGE: Levels            = ( 0.06,  0.12,  0.20,  0.34,  0.48)
UNDERWATER_BLUR: Levels             = ( 0.6,   1.0,   1.5,   2.0,   2.6)
UNDERWATER_HAZE: Levels             = ( 0.10,  0.18,  0.26,  0.34,  0.42)
MASKED_SHARE: Levels                = ( 0.10,  0.30,  0.50,  0.70,  0.90)
# fmt: on

FIRST_MUD = 4
"""The severity from which spatter is mud and no longer water."""
