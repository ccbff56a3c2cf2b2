"""Files that a folder of downloaded videos may hold, made on the spot: odd ones that are kept, and hostile ones.

`hostile_files.py` is the table of them.
"""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Ffmpeg = Callable[..., bytes]
Make = Callable[["Maker", Path], object]

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", 25)
AAC = ("-c:a", "aac", "-ar", 44100, "-ac", 2)
COPY = ("-c", "copy")
PASSTHROUGH = ("-fps_mode", "passthrough")
BITEXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-threads", 1)


@dataclass(frozen=True)
class Maker:
    """Makes files, from 2 s of 96x64 pixels at 25 frames a second with stereo tone bursts."""

    ffmpeg: Ffmpeg
    folder: Path
    """For what files are made from, and for what they name: nothing in it may be read by a decoder."""
    port: int
    """On which the test listens."""

    @property
    def canary(self) -> Path:
        """A file that hostile files name: nothing may open it."""
        return self.folder / "canary"

    @cached_property
    def master(self) -> Path:
        """The source, hardly compressed."""
        path = self.folder / "master.mkv"
        self.ffmpeg(
            *("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=2"),
            *("-f", "lavfi", "-i", "aevalsrc='0.5*sin(880*PI*t)*lt(mod(t,0.5),0.3)|0.4*sin(660*PI*t)':s=44100:d=2"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-crf", 12, "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", path),
        )
        return path

    @cached_property
    def moov_last(self) -> Path:
        """An ordinary MP4 file."""
        return self._mp4("moov_last.mp4")

    @cached_property
    def moov_first(self) -> Path:
        """An ordinary MP4 file with its index in front."""
        return self._mp4("moov_first.mp4", "-movflags", "+faststart")

    @cached_property
    def cover(self) -> Path:
        """A red picture."""
        path = self.folder / "cover.png"
        self.ffmpeg("-f", "lavfi", "-i", "color=red:s=120x120", "-frames:v", 1, path)
        return path

    def _mp4(self, name: str, *output: object) -> Path:
        path = self.folder / name
        self.ffmpeg("-i", self.master, *X264, "-bf", 2, *AAC, *BITEXACT, *output, path)
        return path


@dataclass(frozen=True)
class HostileFile:
    """One file, what is special about it, and what becomes of it."""

    name: str
    what: str
    reason: str
    """Empty if the middle of its 2 s becomes a clip; else the one word under which it is rejected."""
    make: Make
    listed: bool = True
    """Whether a folder's listing takes it for a video at all."""


def encoded(*output: object, video: tuple[object, ...] = X264, audio: tuple[object, ...] = AAC) -> Make:
    return lambda maker, path: maker.ffmpeg("-i", maker.master, *video, *audio, *BITEXACT, *output, path)


def copied(*output: object, before: tuple[object, ...] = ()) -> Make:
    return lambda maker, path: maker.ffmpeg(*before, "-i", maker.moov_last, *COPY, *BITEXACT[:6], *output, path)


def patched(change: Callable[[bytes], bytes]) -> Make:
    return lambda maker, path: path.write_bytes(change(maker.moov_first.read_bytes()))


def text(content: str) -> Make:
    return lambda maker, path: path.write_text(content.format(canary=maker.canary, port=maker.port))


def holding(content: bytes) -> Make:
    return lambda maker, path: path.write_bytes(content)


def linked(target: str) -> Make:
    return lambda maker, path: path.symlink_to(target.format(folder=maker.folder, path=path))


def untouched(maker: Maker, path: Path) -> None:
    path.write_bytes(maker.moov_first.read_bytes())


def with_second_source(*arguments: object) -> Make:
    """`MASTER`, `LAST` and `COVER` stand for files of the maker."""

    def make(maker: Maker, path: Path) -> None:
        stands_for = {"MASTER": maker.master, "LAST": maker.moov_last, "COVER": maker.cover}
        maker.ffmpeg(*(stands_for.get(str(argument), argument) for argument in arguments), path)

    return make


# Changes to the bytes of an MP4 file


def at(data: bytes, *names: bytes) -> int:
    """Where the contents of a box start, entered through the first box of each name before it."""
    position = 0
    for name in names:
        position = data.index(name, position) + len(name)
    return position


def overwritten(position: Callable[[bytes], int], value: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        start = position(data)
        return data[:start] + value + data[start + len(value) :]

    return change


def in_turn(*changes: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        for one in changes:
            data = one(data)
        return data

    return change


def with_noise(data: bytes) -> bytes:
    """Every second run of 16 bytes is noise, from 2 kB into the pictures and sound on."""
    damaged, generator = bytearray(data), random.Random(3)
    for start in range(at(data, b"mdat") + 2000, len(data) - 16, 32):
        damaged[start : start + 16] = generator.randbytes(16)
    return bytes(damaged)


def nested_boxes(data: bytes) -> bytes:
    boxes = b""
    for _ in range(2000):
        boxes = struct.pack(">I4s", 8 + len(boxes), b"moov") + boxes
    return data[: data.index(b"moov") - 4] + boxes


def grown(data: bytes, boxes: tuple[bytes, ...], old: bytes, new: bytes) -> bytes:
    """Replace `old` in the innermost of `boxes` by `new`, which is longer, and correct the sizes of all of them."""
    changed = bytearray(data)
    place = data.index(old, at(data, *boxes))
    changed[place : place + len(old)] = new
    for depth in range(len(boxes)):
        start = at(data, *boxes[: depth + 1]) - 8
        (size,) = struct.unpack_from(">I", data, start)
        struct.pack_into(">I", changed, start, size + len(new) - len(old))
    return bytes(changed)


def names_its_pictures(maker: Maker, path: Path) -> None:
    """A QuickTime alias says that the pictures lie in the canary."""
    data = maker.moov_last.read_bytes()
    target = os.fsencode(maker.canary)
    alias = bytearray(150)
    alias[10:12] = struct.pack(">H", 0)
    alias += struct.pack(">hH", 2, len(target)) + target + bytes(len(target) % 2) + struct.pack(">hH", -1, 0)
    old = struct.pack(">II4sI", 1, 12, b"url ", 1)
    new = struct.pack(">II4sI", 1, 12 + len(alias), b"alis", 0) + alias
    path.write_bytes(grown(data, (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"), old, new))


def size_change(maker: Maker, path: Path) -> None:
    for name, size in (("small", "96x64"), ("large", "128x96")):
        maker.ffmpeg("-i", maker.master, "-t", 1, *X264, "-s", size, "-x264-params", "repeat-headers=1", "-an",
                     "-f", "h264", maker.folder / name)  # fmt: skip
    both = maker.folder / "both.h264"
    both.write_bytes((maker.folder / "small").read_bytes() + (maker.folder / "large").read_bytes())
    maker.ffmpeg("-framerate", 25, "-f", "h264", "-i", both, "-i", maker.moov_last, "-map", "0:v", "-map", "1:a",
                 *COPY, path)  # fmt: skip


def subtitled(maker: Maker, path: Path) -> None:
    words = maker.folder / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:02,000\nhello\n")
    maker.ffmpeg("-i", maker.moov_last, "-i", words, "-map", 0, "-map", 1, *COPY, "-c:s", "mov_text", path)


def not_finite(maker: Maker, path: Path) -> None:
    sound = maker.folder / "sound.f32"
    values = [0.1, float("nan"), float("inf"), 0.2] * 22_050
    sound.write_bytes(struct.pack(f"<{len(values)}f", *values))
    maker.ffmpeg("-i", maker.moov_last, "-f", "f32le", "-ar", 44100, "-ac", 1, "-i", sound, "-map", "0:v",
                 "-map", "1:a", "-c:v", "copy", "-c:a", "pcm_f32le", "-f", "mov", path)  # fmt: skip


def jumping_stream(maker: Maker, path: Path) -> None:
    for name, offset in (("first.ts", 0), ("second.ts", 90_000)):
        maker.ffmpeg("-i", maker.moov_last, *COPY, "-output_ts_offset", offset, maker.folder / name)
    path.write_bytes((maker.folder / "first.ts").read_bytes() + (maker.folder / "second.ts").read_bytes())


def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../evil"), "x")
    return buffer.getvalue()


def kinetics(stem: str, what: str, reason: str, make: Make, **more: Any) -> HostileFile:
    """A file with a proper name."""
    return HostileFile(f"{stem:0<11}_000000_000010.mp4", what, reason, make, **more)
