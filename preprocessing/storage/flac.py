"""The stored waveform, read back from its file."""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray


class SoundError(ValueError):
    """A stored sound cannot be read."""


def decode_flac(flac: bytes) -> NDArray[np.int16]:
    """The waveform in a FLAC file of one channel and 16 bit: `[samples]`, exactly what was stored.

    Raises:
        SoundError: if it is damaged, or something else.
    """
    try:
        with av.open(io.BytesIO(flac), "r", format="flac") as container:
            frames = list(container.decode(audio=0))
    except (av.FFmpegError, IndexError) as error:
        raise SoundError(f"the sound cannot be decoded: {str(error).partition(chr(10))[0]}") from error
    if not frames:
        raise SoundError("the sound cannot be decoded: it has no samples")
    found = (frames[0].layout.nb_channels, frames[0].format.name)
    if found != (1, "s16"):
        raise SoundError(f"the sound has {found[0]} channels of {found[1]}; it should have one of s16")
    return np.asarray(np.concatenate([frame.to_ndarray()[0] for frame in frames]), np.int16)
