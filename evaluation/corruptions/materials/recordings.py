"""Recorded noises in place of synthesised ones: a folder per corruption, any sound that FFmpeg decodes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler

from evaluation.corruptions.materials.draws import Draws
from evaluation.corruptions.materials.mixing import Wave, level
from preprocessing.errors import PlaceError

HELD_RECORDINGS = 32
"""Decoded recordings that a process keeps."""


@dataclass(frozen=True)
class Recordings:
    """The noises below a folder: `FOLDER/rain/*` for the corruption `rain`."""

    folder: str

    def files(self, corruption: str) -> list[Path]:
        """A corruption's recordings in order of their names; hidden files are none."""
        folder = Path(self.folder) / corruption
        if not folder.is_dir():
            return []
        return sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith("."))

    def require(self, corruptions: Iterable[str]) -> None:
        """Refuse a folder in which a corruption has no recording, or one that cannot be decoded or is silent.

        Raises:
            PlaceError: naming the setting and every folder without one, or the first file that is of no use.
        """
        names = tuple(corruptions)
        if missing := [name for name in names if not self.files(name)]:
            raise PlaceError(
                f"noise_folder='{self.folder}' has no recording for {', '.join(missing)}: put sound files into a "
                "folder of that name in it, leave these corruptions out, or leave noise_folder unset: noises are then "
                "synthesised"
            )
        for file in (file for name in names for file in self.files(name)):
            decoded(file, 16_000)

    def noise(self, draws: Draws, num_samples: int, rate_hz: int) -> Wave:
        """The stretch of one of a corruption's recordings that a clip gets; a short recording begins anew."""
        random = draws.random("recording")
        files = self.files(draws.corruption)
        recording = decoded(files[int(random.integers(len(files)))], rate_hz)
        start = int(random.integers(len(recording)))
        return np.resize(np.roll(recording, -start), num_samples)

    def sha256(self, corruptions: Iterable[str]) -> str:
        """Names the recordings of these corruptions exactly: a hash over their names and bytes."""
        total = hashlib.sha256()
        for file in (file for name in corruptions for file in self.files(name)):
            total.update(f"{file.parent.name}/{file.name}".encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
        return total.hexdigest()


@lru_cache(HELD_RECORDINGS)
def decoded(file: Path, rate_hz: int) -> Wave:
    """All of a recording, as mono at `rate_hz`.

    Raises:
        PlaceError: if it has no sound that can be decoded, or only silence.
    """
    resampler = AudioResampler("flt", "mono", rate_hz, options={"rematrix_maxval": "1.0"})  # the mean of all channels
    try:
        with av.open(str(file)) as container:
            blocks = [each for block in container.decode(audio=0) for each in resampler.resample(block)]
    except (av.FFmpegError, IndexError) as error:
        raise PlaceError(f"'{file}' is no recording that can be decoded: {error}; take it out of the folder") from error
    blocks += resampler.resample(None)
    wave = np.concatenate([block.to_ndarray()[0] for block in blocks] or [np.zeros(1)]).astype(np.float64)
    if level(wave) == 0.0:
        raise PlaceError(f"'{file}' is silent, so that nothing can be mixed from it; take it out of the folder")
    return wave
