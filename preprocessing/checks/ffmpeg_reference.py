"""The same clip by another program: ffmpeg's command line, to cross-check `decoding/clip.py`.

Slower (three processes per clip), and independent of PyAV: another build of ffmpeg, another way to choose frames
(`select` by presentation time) and another way to place sound (each block by the mean of the stamps around it). Which
of several tracks are decoded is the one thing that it is told.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions, check_timeline, place_clip
from preprocessing.decoding.clip import Clip, choose_tracks, container_format, open_container
from preprocessing.decoding.opening import open_video
from preprocessing.decoding.scaling import HD_LINES
from preprocessing.decoding.segments import Grid, frames_on_screen
from preprocessing.decoding.timeline import Timeline, timeline_of

SECONDS_LIMIT = 120.0
"""One process takes a second or two; one that takes this long hangs."""
TIME_BASE = re.compile(r"config in time_base: (\d+)/(\d+)")
SHOWN = re.compile(r" pts: *(-?\d+) .* duration: *(-?\d+) .* cl:(\S+) .* s:\d+x(\d+) i:([PTB])")
SOUNDING = re.compile(r" pts:(-?\d+) .* nb_samples:(\d+)")
MEAN_SECONDS = 2.0
"""Time over which stamps are averaged: what jitters comes back within half a second."""
MAX_DEVIATIONS = 3.0
"""Stamps that lie more median deviations, and a millisecond, from the median of those around them are of another side
of a jump."""
COLOURS = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")


@dataclass(frozen=True)
class Source:
    """A video as ffmpeg is told of it."""

    file: Path
    container_name: str
    """Of its demuxer."""
    video: int
    """Index of the stream of pictures among all streams."""
    audio: int
    """Index of the stream of sound among all streams."""


@dataclass(frozen=True)
class Shown:
    """Frames of a video as ffmpeg lists them: their times, and the properties that say how to read them."""

    timeline: Timeline
    num_lines: int
    first_field: str | None
    """`top` or `bottom` if frames hold two fields."""
    chroma_place: str
    """Position of a colour sample among the pixels it is for: `left` in most of H.264."""
    matrix: str
    transfer: str


@dataclass(frozen=True)
class PlainClip:
    """A decoded clip reduced to what two decoders can be compared by; the fields are those of `decoding.Clip`."""

    frames: tuple[NDArray[np.uint8], ...]
    frame_seconds: tuple[float, ...]
    samples: NDArray[np.float32]
    """Mono waveform `[num_samples]`, full scale is [-1, 1]."""


def decode_with_ffmpeg(path: Path, options: DecodeOptions, *, root: Path, start_seconds: float | None) -> PlainClip:
    """Decode the clip of a video: from `start_seconds` on the video clock, or its middle if that is None.

    Raises:
        DecodeError: if the file is not a video inside `root` that fills the clip, or ffmpeg fails on any of it.
    """
    source = source_of(path, root=root)
    shown = read_shown(source)
    check_timeline(shown.timeline, options)
    grid, _ = place_clip(shown.timeline, options, start_seconds)
    chosen = frames_on_screen(shown.timeline.shown_seconds, grid.middles)
    pictures = decode_pictures(source, shown, sorted({int(index) for index in chosen}), options.frame_size)
    return PlainClip(
        frames=tuple(pictures[int(index)] for index in chosen),
        frame_seconds=tuple(round(float(shown.timeline.shown_seconds[index]), 6) for index in chosen),
        samples=decode_waveform(source, shown.timeline.zero_seconds, grid),
    )


def source_of(path: Path, *, root: Path) -> Source:
    """A video that lies inside `root`, as ffmpeg is told of it."""
    with open_video(path, root=root) as file:
        container_name = container_format(file, path.suffix.lower())
        with open_container(file, container_name, {}) as container:
            chosen = choose_tracks(container)
            return Source(path.resolve(), container_name, chosen.video.index, chosen.audio.index)


def read_shown(source: Source) -> Shown:
    """Read the times of all frames, and how their colours and lines are to be read: `showinfo`, decoding everything."""
    stream = opened(source)[str(source.video)].filter("showinfo", checksum=0)
    _, log = run(stream.output("-", format="null", copyts=None, fps_mode="passthrough"), loglevel="info")
    frames = [match.groups() for line in log.splitlines() if (match := SHOWN.search(line))]
    colours, time_base = COLOURS.search(log), TIME_BASE.search(log)
    if not frames or colours is None or time_base is None:
        raise DecodeError("no_frames", f"ffmpeg shows no frame of it: {log.strip()[-200:]}")
    seconds = int(time_base[1]) / int(time_base[2])
    _, _, chroma_place, num_lines, interlacing = frames[0]
    return Shown(
        timeline=timeline_of(((int(pts), max(int(duration), 0)) for pts, duration, *_ in frames), seconds),
        num_lines=int(num_lines),
        first_field={"T": "top", "B": "bottom"}.get(interlacing),
        chroma_place=chroma_place,
        matrix=colours[2],
        transfer=colours[4],
    )


def decode_pictures(source: Source, shown: Shown, chosen: list[int], size: int) -> dict[int, NDArray[np.uint8]]:
    """The frames at these places of the timeline, as RGB `[size, size, 3]`."""
    stream = opened(source)[str(source.video)]
    stream = stream.filter("select", "+".join(f"eq(pts,{shown.timeline.shown_pts[index]})" for index in chosen))
    if shown.first_field:
        stream = stream.filter("field", type=shown.first_field)
    aspect = "sar/2" if shown.first_field else "sar"  # the lines of a field are twice as high
    width, height = f"iw*max({aspect},1)", f"ih/min({aspect},1)"
    scale = f"{size}/min({width},{height})"
    colours: dict[str, object] = {"flags": "bicubic+full_chroma_int+accurate_rnd+bitexact", "out_range": "pc"}
    if shown.chroma_place != "unspecified":
        colours["in_chroma_loc"] = shown.chroma_place
    if shown.matrix == "unknown":
        colours["in_color_matrix"] = "bt709" if shown.num_lines >= HD_LINES else "bt601"
    if shown.transfer in ("smpte2084", "arib-std-b67"):
        colours |= {"out_primaries": "bt709", "out_transfer": "bt709"}
    stream = stream.filter(
        "scale", f"max(round({width}*{scale}),{size})", f"max(round({height}*{scale}),{size})", **colours
    )
    stream = stream.filter("format", "rgb24").filter(
        "crop", size, size, f"floor((iw-{size})/2)", f"floor((ih-{size})/2)", exact=1
    )
    output = stream.output("pipe:", format="rawvideo", pix_fmt="rgb24", copyts=None, fps_mode="passthrough")
    raw, _ = run(output)
    if len(raw) != len(chosen) * size * size * 3:
        raise DecodeError("missing_frames", f"ffmpeg gave {len(raw)} bytes, {len(chosen)} frames are wanted")
    pictures = np.frombuffer(raw, np.uint8).reshape(len(chosen), size, size, 3)
    return dict(zip(chosen, pictures, strict=True))


def decode_waveform(source: Source, zero_seconds: float, grid: Grid) -> NDArray[np.float32]:
    """The clip's waveform, silent where no block of sound lies."""
    stream = opened(source)[str(source.audio)].filter(
        "aresample", grid.sample_rate_hz, ochl="mono", osf="flt", rematrix_maxval=1.0
    )
    output = stream.filter("ashowinfo").output("pipe:", format="f32le", acodec="pcm_f32le", copyts=None)
    raw, log = run(output, loglevel="info")
    blocks = [match.groups() for line in log.splitlines() if (match := SOUNDING.search(line))]
    stamps = np.array([int(pts) for pts, _ in blocks], np.float64) - zero_seconds * grid.sample_rate_hz
    return place_blocks(np.frombuffer(raw, "<f4"), stamps, np.array([int(size) for _, size in blocks], np.int64), grid)


def place_blocks(
    samples: NDArray[np.float32], stamps: NDArray[np.float64], sizes: NDArray[np.int64], grid: Grid
) -> NDArray[np.float32]:
    """The clip's waveform of blocks that follow each other in `samples`.

    Args:
        samples: mono: `[samples]`.
        stamps: time of each block on the video clock, in samples: `[blocks]`.
        sizes: its number of samples: `[blocks]`.
        grid: the clip.
    """
    waveform = np.zeros(grid.num_samples, np.float32)
    if not len(sizes):
        return waveform
    counted = np.cumsum(sizes) - sizes
    offsets = smooth(stamps - counted, grid.sample_rate_hz, block_samples=float(sizes.mean()))
    for begin, size, offset in zip(counted, sizes, offsets, strict=True):
        first = round(begin + offset - grid.start_seconds * grid.sample_rate_hz)
        # With the sample behind it, which closes the gap to a block that rounding puts one later.
        heard = samples[begin + max(-first, 0) : begin + size + 1]
        room = waveform[max(first, 0) : max(first, 0) + len(heard)]
        room[:] = heard[: len(room)]
    return waveform


def smooth(offsets: NDArray[np.float64], rate_hz: int, *, block_samples: float) -> NDArray[np.float64]:
    """The mean of the offsets around each block that lie on its side of a jump, the nearest ones most: `[blocks]`."""
    reach = round(MEAN_SECONDS / 2 * rate_hz / max(block_samples, 1.0))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(offsets, reach, mode="reflect"), 2 * reach + 1)
    distance = np.abs(around - np.median(around, axis=1, keepdims=True))
    usual = MAX_DEVIATIONS * np.median(distance, axis=1, keepdims=True) + rate_hz / 1000
    weights = np.where(distance > usual, 0.0, np.hanning(2 * reach + 3)[1:-1])
    return np.asarray((weights * around).sum(axis=1) / weights.sum(axis=1))


def opened(source: Source) -> Any:
    """The file as an input: its demuxer is forced, and only files can be read, so that no playlist leads elsewhere."""
    # `file:` in front: no name can be read as an option or as the address of another protocol.
    return ffmpeg.input(f"file:{source.file}", format=source.container_name, protocol_whitelist="file,pipe", threads=1)


def run(output: Any, *, loglevel: str = "error") -> tuple[bytes, str]:
    """Run ffmpeg and return what it writes to its output and to its log; any error of a packet fails it.

    Raises:
        DecodeError: `timeout` after `SECONDS_LIMIT`, `decode_errors` if ffmpeg fails.
    """
    arguments = output.global_args("-nostdin", "-hide_banner", "-xerror", "-loglevel", loglevel)
    command: list[str] = arguments.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise DecodeError("timeout", f"ffmpeg did not end within {SECONDS_LIMIT:g} s") from error
    log = done.stderr.decode(errors="replace")
    if done.returncode:
        raise DecodeError("decode_errors", f"ffmpeg failed: {log.strip()[-500:]}")
    return done.stdout, log


@dataclass(frozen=True)
class Agreement:
    """Differences between two decodes of one clip."""

    frame_seconds: float
    """Largest difference between the times of two frames."""
    pixels: float
    """Largest mean absolute difference between two frames, in levels of 0 to 255."""
    sound_lag_samples: int
    """By how many samples the second waveform must be moved to fit the first best."""
    sound_correlation: float
    """Correlation of the waveforms, each twentieth of a second where it fits best: 1 if they are the same but for
    scale, however each averages jittering stamps."""


def plain(clip: Clip) -> PlainClip:
    """A clip of `decoding/clip.py` as it can be compared."""
    return PlainClip(clip.frames, clip.frame_seconds, clip.samples.astype(np.float32) / np.float32(32768))


def compare(clip: PlainClip, other: PlainClip, *, max_lag_samples: int = 800) -> Agreement:
    """Compare two decodes of one clip; sound is looked for up to `max_lag_samples` away."""
    differences = [np.abs(a.astype(np.int16) - b).mean() for a, b in zip(clip.frames, other.frames, strict=True)]
    first, second = clip.samples.astype(np.float64), other.samples.astype(np.float64)
    products = correlations(first, second)
    lags = np.arange(-max_lag_samples, max_lag_samples + 1)
    lag = int(lags[np.argmax(products[lags])]) if first.any() and second.any() else 0  # silence fits everywhere
    return Agreement(
        frame_seconds=float(np.abs(np.subtract(clip.frame_seconds, other.frame_seconds)).max()),
        pixels=float(max(differences)),
        sound_lag_samples=lag,
        sound_correlation=correlation_in_pieces(first, np.roll(second, lag)),
    )


def correlations(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of products of two waveforms at each lag of the first behind the second; negative lags count from the end."""
    size = 2 * len(first)
    return np.fft.irfft(np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size)), size)


def correlation_in_pieces(
    first: NDArray[np.float64], second: NDArray[np.float64], *, piece: int = 800, max_lag: int = 80
) -> float:
    """Correlation of two waveforms of which each `piece` samples may lie up to `max_lag` beside each other."""
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    if not scale:
        return float(first.any() == second.any())
    lags = np.arange(-max_lag, max_lag + 1)
    pieces = [slice(begin, begin + piece) for begin in range(0, len(first), piece)]
    return sum(float(correlations(first[part], second[part])[lags].max()) for part in pieces) / scale
