"""Damaged at random: whatever bytes a file holds, the answer is a sane clip or one word, in time and within memory."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from preprocessing.config import AcceptanceRules, PreprocessConfig
from preprocessing.datasets import Folder
from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.parent import DecoderProcess, ProcessLimits
from preprocessing.schema import ClipFormat

Ffmpeg = Callable[..., bytes]
LIMITS = ProcessLimits(clip_seconds=20.0, memory_mib=2048)
CONTAINERS = ("mp4", "mkv")


@pytest.fixture(scope="module")
def decoder(mutant_options: DecodeOptions) -> Iterator[DecoderProcess]:
    with DecoderProcess(mutant_options, LIMITS) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def mutant_options() -> DecodeOptions:
    """Two segments of half a second; damage is forgiven, so that damaged clips are looked at, too."""
    return PreprocessConfig(
        dataset=Folder(root=Path()),
        output="unused",
        format=ClipFormat(num_segments=2, segment_seconds=0.5, frame_size=32),
        rules=AcceptanceRules(min_audio_coverage=0.0, max_decode_errors=1000),
    ).decode_options


@pytest.fixture(scope="module", params=CONTAINERS)
def original(request: pytest.FixtureRequest, media: Path, video: Path, ffmpeg: Ffmpeg) -> bytes:
    """The first 1.5 s of the test video, its index first."""
    path = media / f"original.{request.param}"
    movflags = ("-movflags", "+faststart") if request.param == "mp4" else ()
    ffmpeg("-i", video, "-t", 1.5, "-c", "copy", *movflags, path)
    return path.read_bytes()


def mutant(original: bytes, seed: int) -> bytes:
    """One to four changes: bits, noise, zeros, numbers at their limits, missing, repeated or copied parts, an end.

    Half of them hit the first 2 kB, where a file's index says how large everything is.
    """
    generator = random.Random(seed)
    data = bytearray(original)
    for _ in range(generator.randint(1, 4)):
        reach = min(2000, len(data)) if generator.random() < 0.5 else len(data)
        start, length = generator.randrange(reach), generator.randint(1, 64)
        match generator.randrange(8):
            case 0:
                data[start] ^= 1 << generator.randrange(8)
            case 1:
                data[start : start + length] = generator.randbytes(length)
            case 2:
                data[start : start + length] = bytes(length)
            case 3:
                number = generator.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000, 0xFFFF0000))
                data[start : start + 4] = struct.pack(">I", number)
            case 4:
                del data[start : start + length]
            case 5:
                data[start:start] = data[start : start + length]
            case 6:
                there = generator.randrange(len(data))
                data[there : there + length] = data[start : start + length]
            case _:
                del data[max(start, 100) :]
    return bytes(data)


def check(decoder: DecoderProcess, path: Path) -> str:
    """Decode a mutant and check the answer; the reason, or empty for a clip."""
    try:
        clip = decoder.decode(path, root=path.parent, start_seconds=None)
    except DecodeError as error:
        return error.reason
    assert [Image.open(io.BytesIO(jpeg)).size for jpeg in clip.jpegs] == [(32, 32)] * 2
    assert len(clip.samples) == 16_000
    assert clip.end_seconds - clip.start_seconds == pytest.approx(1.0)
    assert all(-0.01 <= seconds <= clip.end_seconds for seconds in clip.frame_seconds)
    assert list(clip.frame_seconds) == sorted(clip.frame_seconds)
    return ""


def reasons_of(decoder: DecoderProcess, original: bytes, seeds: range, folder: Path) -> dict[int, str]:
    found = {}
    for seed in seeds:
        path = folder / "mutant.mp4"
        path.write_bytes(mutant(original, seed))
        found[seed] = check(decoder, path)
    lost = {seed: reason for seed, reason in found.items() if reason in ("crash", "timeout")}
    assert not lost, "the decoder itself must have given the reason"
    return found


def test_a_damaged_file_is_a_sane_clip_or_one_word(decoder: DecoderProcess, original: bytes, tmp_path: Path) -> None:
    reasons = reasons_of(decoder, original, range(40), tmp_path)
    assert "" in reasons.values()
    assert len(set(reasons.values())) >= 4, "too tame: nearly all mutants end the same way"


@pytest.mark.slow
def test_a_thousand_damaged_files_are_sane_clips_or_one_word(
    decoder: DecoderProcess, original: bytes, tmp_path: Path
) -> None:
    reasons_of(decoder, original, range(1000, 2000), tmp_path)
