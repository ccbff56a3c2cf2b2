"""Short recordings with known truth, one for each way in which a file can hold its times and pictures.

Each shows a dim moving picture that turns white, and plays 0.1 s of 1 kHz, at the same known moments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

Ffmpeg = Callable[..., bytes]

EVENTS_SECONDS = (0.6, 1.6, 2.8, 3.4)
"""When the picture turns white and a beep starts; rounded to the nearest frame."""
NUM_SECONDS = 4
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1")
AAC = ("-c:a", "aac", "-ar", 44100)
COPY = ("-c", "copy")
HDR = "setparams=colorspace=bt2020nc:range=tv:color_primaries=bt2020:color_trc=smpte2084"


@dataclass(frozen=True)
class Recipe:
    """How a recording is made, and what that makes true of it."""

    output: tuple[object, ...] = ()
    """Options of the encoder and the container; H.264 and AAC at 44.1 kHz unless they say otherwise."""
    fps: Fraction = Fraction(25)
    size: str = "96x72"
    filters: str = "null"
    """What the picture goes through before it is encoded."""
    video_delay: float = 0.0
    sound_delay: float = 0.0
    again: tuple[object, ...] = ()
    """If given, the file is put through ffmpeg once more with these options."""
    cut_frames: int = 0
    """Frames that the second pass leaves out at the start."""
    kept: Callable[[int], bool] = lambda number: True
    """Which frames remain, by their number."""
    turned: int = 0
    """Degrees by which a player turns it, counted clockwise."""
    mirrored: bool = False
    """Whether a player mirrors it before that."""
    drift: float = 0.0
    """Share by which the sound lasts longer by its times than by its samples."""
    fields: int = 1
    """2: frames hold two fields; the source has twice their rate, and the first field is every second picture."""


@dataclass(frozen=True)
class Recording:
    """A file and what a player shows of it, in seconds on the video clock."""

    path: Path
    frame_seconds: tuple[float, ...]
    """When each frame is first shown."""
    is_white: tuple[bool, ...]
    """Which frames are white; the others are dim."""
    beeps: tuple[float, ...]
    """When the beeps start."""
    duration_seconds: float


def white_frames(fps: Fraction) -> list[range]:
    """The white frames of each event: two, or as many as 60 ms have."""
    length = max(2, round(0.06 * fps))
    return [range(round(seconds * fps), round(seconds * fps) + length) for seconds in EVENTS_SECONDS]


def make_recording(name: str, folder: Path, ffmpeg: Ffmpeg) -> Recording:
    """Make one of `RECIPES`."""
    recipe = RECIPES[name]
    path = folder / name
    first = folder / f"first_of_{name}" if recipe.again else path
    source_fps = recipe.fps * recipe.fields
    events = white_frames(source_fps)
    is_white = "+".join(f"between(n,{event[0]},{event[-1]})" for event in events)
    gate = "+".join(
        f"between(t,{float(event[0] / source_fps)},{float(event[0] / source_fps) + 0.1})" for event in events
    )
    picture = (
        f"testsrc2=s={recipe.size}:r={source_fps}:d={NUM_SECONDS},format=yuv420p,noise=alls=8:allf=t,"
        "lutyuv=y=16+(val-16)*0.2:u=128+(val-128)*0.2:v=128+(val-128)*0.2,"
        f"drawbox=c=white:t=fill:enable='{is_white}',{recipe.filters}"
    )
    ffmpeg_once(
        ffmpeg,
        first,
        *("-itsoffset", recipe.video_delay, "-f", "lavfi", "-i", picture, "-itsoffset", recipe.sound_delay),
        *("-f", "lavfi", "-i", f"aevalsrc='0.8*sin(2*PI*1000*t)*({gate})':s=44100:d={NUM_SECONDS}"),
        *("-map", "0:v", "-map", "1:a", *X264, *AAC, *recipe.output),
    )
    if recipe.again:
        cut = float(recipe.cut_frames / recipe.fps)
        mirror = ("-display_hflip",) if recipe.mirrored else ()
        ffmpeg_once(ffmpeg, path, "-display_rotation", recipe.turned, *mirror, "-ss", cut, "-i", first, *recipe.again)
    shown = [n for n in range(recipe.cut_frames, ceil(NUM_SECONDS * recipe.fps)) if recipe.kept(n)]
    zero = shown[0] / recipe.fps
    white = {number for event in events for number in event}
    return Recording(
        path=path,
        frame_seconds=tuple(float(n / recipe.fps - zero) for n in shown),
        is_white=tuple(n * recipe.fields in white for n in shown),
        beeps=tuple(
            float(event[0] / source_fps - zero) * (1 + recipe.drift) + recipe.sound_delay - recipe.video_delay
            for event in events
            if event[0] / source_fps >= zero
        ),
        duration_seconds=float((shown[-1] + 1) / recipe.fps - zero),
    )


def ffmpeg_once(ffmpeg: Ffmpeg, path: Path, *arguments: object) -> None:
    """Write a file with ffmpeg unless an earlier test did."""
    if not path.exists():
        ffmpeg(*arguments, path)


def is_kept(number: int) -> bool:
    """Every fifth frame, the first frame of each event and the one after it: a rate that varies."""
    return number % 5 == 0 or any(number in (event[0], event[-1] + 1) for event in white_frames(Fraction(25)))


KEPT = "+".join(f"eq(n\\,{number})" for number in range(100) if is_kept(number))
VARIABLE = ("-vf", f"select={KEPT}", "-fps_mode", "vfr", *X264, "-c:a", "copy")

RECIPES: dict[str, Recipe] = {
    # How pictures depend on each other
    "plain.mp4": Recipe(),
    "short_groups.mp4": Recipe(("-g", 12, "-bf", 3)),
    "no_b_frames.mp4": Recipe(("-profile:v", "baseline")),
    "deep_b_pyramid.mp4": Recipe(("-bf", 8, "-x264-params", "b-pyramid=normal:ref=6:b-adapt=0")),
    "open_groups.mp4": Recipe(("-g", 15, "-bf", 4, "-x264-params", "open-gop=1:b-pyramid=normal:ref=5")),
    "open_groups.ts": Recipe(("-g", 15, "-bf", 4, "-x264-params", "open-gop=1:b-pyramid=normal:ref=5")),
    # Rates
    "5_fps.mp4": Recipe(fps=Fraction(5)),
    "film_rate.mp4": Recipe(fps=Fraction(24000, 1001)),
    "ntsc_rate.mp4": Recipe(fps=Fraction(30000, 1001)),
    "60_fps.mp4": Recipe(fps=Fraction(60)),
    "variable_rate.mp4": Recipe(again=VARIABLE, kept=is_kept),
    "variable_rate.mkv": Recipe(again=VARIABLE, kept=is_kept),
    # Where the clocks start
    "sound_starts_late.mp4": Recipe(sound_delay=0.32),
    "video_starts_late.mp4": Recipe(video_delay=0.32),
    "video_starts_late.mkv": Recipe(video_delay=0.32),
    "both_start_at_5_s.mp4": Recipe(("-output_ts_offset", 5)),
    "both_start_at_5_s.mkv": Recipe(("-output_ts_offset", 5)),
    "clock_wraps.ts": Recipe(("-output_ts_offset", 95_441)),  # MPEG-TS clocks have 33 bits, 95,443.7 s: read as -1.3 s
    "hidden_start.mp4": Recipe(("-g", 50), again=COPY, cut_frames=13),
    "no_edit_list.mp4": Recipe(("-use_editlist", 0)),
    "negative_offsets.mp4": Recipe(("-movflags", "negative_cts_offsets")),
    "sound_starts_4_ms_late.mov": Recipe(("-c:a", "pcm_s16le", "-ar", 48000), sound_delay=0.004),
    # Clocks of phones: blocks of 21.33 ms stamped every 20 ms, half of them early by the mean of that; slow sound
    "android_stamps.mp4": Recipe(("-ar", 48000), again=(*COPY, "-bsf:a", "setts=ts=floor(PTS/960)*960+448")),
    "slow_sound.mp4": Recipe(again=(*COPY, "-bsf:a", "setts=ts=PTS*1.003"), drift=0.003),
    "fast_sound.mkv": Recipe(again=(*COPY, "-bsf:a", "setts=ts=PTS*0.999"), drift=-0.001),
    # Containers and codecs
    "fragmented.mp4": Recipe(("-movflags", "frag_keyframe+empty_moov")),
    "matroska.mkv": Recipe(),
    "transport_stream.ts": Recipe(),
    "mpeg2.ts": Recipe(("-c:v", "mpeg2video", "-bf", 2, "-q:v", 3, "-c:a", "mp2")),
    "vp8.webm": Recipe(("-c:v", "libvpx", "-auto-alt-ref", 1, "-lag-in-frames", 10, "-deadline", "good", "-cpu-used", 4,
                        "-c:a", "libvorbis")),
    "vp9.webm": Recipe(("-c:v", "libvpx-vp9", "-auto-alt-ref", 1, "-lag-in-frames", 10, "-deadline", "realtime",
                        "-cpu-used", 8, "-c:a", "libopus", "-ar", 48000)),
    "av1.mp4": Recipe(("-c:v", "libsvtav1", "-preset", 12, "-svtav1-params", "lp=1")),
    "hevc.mp4": Recipe((*X265, "-tag:v", "hvc1")),
    "mpeg4.mp4": Recipe(("-c:v", "mpeg4", "-bf", 2, "-g", 20, "-q:v", 3)),
    "mpeg4.avi": Recipe(("-c:v", "mpeg4", "-bf", 0, "-q:v", 3, "-c:a", "pcm_s16le")),
    # Sound
    "8_khz_mono.mp4": Recipe(("-ar", 8000, "-ac", 1)),
    "11_khz.mp4": Recipe(("-ar", 11025, "-ac", 2)),
    "22_khz.mkv": Recipe(("-ar", 22050, "-ac", 2)),
    "48_khz_mono.mp4": Recipe(("-ar", 48000, "-ac", 1)),
    "six_channels.mp4": Recipe(("-ar", 48000, "-ac", 6)),
    "mp3.mp4": Recipe(("-c:a", "libmp3lame", "-ac", 2)),
    "sound_gap.mp4": Recipe(again=(*COPY, "-bsf:a", "noise=drop='between(pts\\,88200\\,114660)'")),
    # Pictures
    "odd_size.mp4": Recipe(("-pix_fmt", "yuv444p"), size="341x255"),
    "wide_pixels.mp4": Recipe(filters="setsar=2"),
    "turned.mp4": Recipe(again=COPY, turned=90),
    "mirrored.mp4": Recipe(again=COPY, mirrored=True),
    "turned_and_mirrored.mp4": Recipe(again=COPY, turned=90, mirrored=True),
    "interlaced.mp4": Recipe(("-flags", "+ilme+ildct"), fields=2, filters="interlace=scan=tff:lowpass=off"),
    "interlaced.ts": Recipe(("-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-q:v", 3), fields=2,
                            filters="interlace=scan=bff:lowpass=off"),
    "full_range.mp4": Recipe(filters="scale=out_range=pc,setparams=range=pc"),
    "gray.mp4": Recipe(("-pix_fmt", "gray")),
    "10_bit.mp4": Recipe(("-pix_fmt", "yuv420p10le")),
    "hdr.mp4": Recipe((*X265, "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1"), filters=f"format=yuv420p10le,{HDR}"),
}  # fmt: skip
