"""The same clip by another program: ffmpeg's command line, to cross-check `decoding/clip.py`.

Slower (three processes per clip), and independent of PyAV: another build of ffmpeg, another way to choose frames
(`select` by presentation time) and another way to place sound (`aresample=async=1:first_pts=0`).
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
from preprocessing.decoding.clip import Clip, container_format, open_video
from preprocessing.decoding.scaling import HD_LINES
from preprocessing.decoding.segments import Grid, frames_on_screen
from preprocessing.decoding.timeline import Timeline, timeline_of

SECONDS_LIMIT = 120.0
"""One process takes a second or two; one that takes this long hangs."""
TIME_BASE = re.compile(r"config in time_base: (\d+)/(\d+)")
SHOWN = re.compile(r" pts: *(-?\d+) .* duration: *(-?\d+) .* cl:(\S+) .* s:\d+x(\d+) i:([PTB])")
COLOURS = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")


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
    with open_video(path, root=root) as video:
        container_name = container_format(video, path.suffix.lower())
    file = path.resolve()
    shown = read_shown(file, container_name)
    check_timeline(shown.timeline, options)
    grid, _ = place_clip(shown.timeline, options, start_seconds)
    chosen = frames_on_screen(shown.timeline.shown_seconds, grid.middles)
    pictures = decode_pictures(
        file, container_name, shown, sorted({int(index) for index in chosen}), options.frame_size
    )
    return PlainClip(
        frames=tuple(pictures[int(index)] for index in chosen),
        frame_seconds=tuple(round(float(shown.timeline.shown_seconds[index]), 6) for index in chosen),
        samples=decode_waveform(file, container_name, shown.timeline.zero_seconds, grid),
    )


def read_shown(file: Path, container_name: str) -> Shown:
    """Read the times of all frames, and how their colours and lines are to be read: `showinfo`, decoding everything."""
    stream = opened(file, container_name)["v:0"].filter("showinfo", checksum=0)
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


def decode_pictures(
    file: Path, container_name: str, shown: Shown, chosen: list[int], size: int
) -> dict[int, NDArray[np.uint8]]:
    """The frames at these places of the timeline, as RGB `[size, size, 3]`."""
    stream = opened(file, container_name)["v:0"]
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


def decode_waveform(file: Path, container_name: str, zero_seconds: float, grid: Grid) -> NDArray[np.float32]:
    """The clip's waveform: gaps and a late start are filled with silence, what comes before zero is dropped."""
    sound = opened(file, container_name)["a:0"].filter("asetpts", f"PTS-({zero_seconds!r})/TB")
    resampled = sound.filter(
        "aresample", grid.sample_rate_hz, ochl="mono", osf="flt", rematrix_maxval=1.0, first_pts=0, **{"async": 1}
    )
    raw, _ = run(resampled.output("pipe:", format="f32le", acodec="pcm_f32le", copyts=None))
    first = round(grid.start_seconds * grid.sample_rate_hz)
    heard = np.frombuffer(raw, "<f4")[first : first + grid.num_samples]
    waveform = np.zeros(grid.num_samples, np.float32)
    waveform[: len(heard)] = heard
    return waveform


def opened(file: Path, container_name: str) -> Any:
    """The file as an input: its demuxer is forced, and only files can be read, so that no playlist leads elsewhere."""
    # `file:` in front: no name can be read as an option or as the address of another protocol.
    return ffmpeg.input(f"file:{file}", format=container_name, protocol_whitelist="file,pipe", threads=1)


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
    """Correlation of the waveforms where they fit best: 1 if they are the same but for scale."""


def plain(clip: Clip) -> PlainClip:
    """A clip of `decoding/clip.py` as it can be compared."""
    return PlainClip(clip.frames, clip.frame_seconds, clip.samples.astype(np.float32) / np.float32(32768))


def compare(clip: PlainClip, other: PlainClip, *, max_lag_samples: int = 800) -> Agreement:
    """Compare two decodes of one clip; sound is looked for up to `max_lag_samples` away."""
    differences = [np.abs(a.astype(np.int16) - b).mean() for a, b in zip(clip.frames, other.frames, strict=True)]
    first, second = clip.samples.astype(np.float64), other.samples.astype(np.float64)
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    size = 2 * len(first)
    products = np.fft.irfft(np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size)), size)
    lags = np.arange(-max_lag_samples, max_lag_samples + 1)
    best = int(lags[np.argmax(products[lags])]) if scale else 0  # silence fits everywhere
    return Agreement(
        frame_seconds=float(np.abs(np.subtract(clip.frame_seconds, other.frame_seconds)).max()),
        pixels=float(max(differences)),
        sound_lag_samples=best,
        sound_correlation=float(products[best]) / scale if scale else 1.0,
    )
