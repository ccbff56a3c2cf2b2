"""Decoding: everything lies where its own timestamp puts it, and what cannot be stored is refused with one word."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preprocessing.decoding import DecodeError, DecodeOptions, decode

Ffmpeg = Callable[..., bytes]

EVENTS_SECONDS = (0.6, 1.6, 2.8, 3.4)
"""When the picture flashes and a beep starts; whole frames at 25 frames a second."""
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-ar", 44100)
COPY = ("-c", "copy")


def flash_and_beep(ffmpeg: Ffmpeg, path: Path, *output: object, fps: str = "25", sound_delay: float = 0.0) -> Path:
    """4 s of black with one white frame, and 0.1 s of 1 kHz, at each event."""
    rate = 30000 / 1001 if fps == "30000/1001" else float(fps)
    events = [round(seconds * rate) / rate for seconds in EVENTS_SECONDS]
    boxes = [
        f"drawbox=c=white:t=fill:enable='between(t,{event - 0.25 / rate},{event + 0.75 / rate - 1e-3})'"
        for event in events
    ]
    gate = "+".join(f"between(t,{event},{event + 0.1})" for event in events)
    ffmpeg(
        *("-f", "lavfi", "-i", f"color=black:s=64x48:r={fps}:d=4,format=yuv420p,{','.join(boxes)}"),
        *("-itsoffset", sound_delay, "-f", "lavfi", "-i", f"aevalsrc='0.8*sin(2*PI*1000*t)*({gate})':s=44100:d=4"),
        *(*X264, *AAC, "-map", "0:v", "-map", "1:a", *output, path),
    )
    return path


def remade(ffmpeg: Ffmpeg, path: Path, *output: object, seek: float = 0.0) -> Path:
    """A flash-and-beep file put through ffmpeg once more."""
    source = flash_and_beep(ffmpeg, path.with_name(f"source_of_{path.name}"), "-g", 50)
    ffmpeg("-ss", seek, "-i", source, *output, path)
    return path


KEEP_EVENTS = "+".join(f"between(t,{event - 0.01},{event + 0.01})" for event in EVENTS_SECONDS)

ALIGNED: dict[str, Callable[[Ffmpeg, Path], Path]] = {
    "plain.mp4": flash_and_beep,
    "no_b_frames.mp4": lambda ffmpeg, path: flash_and_beep(ffmpeg, path, "-bf", 0),
    "deep_b_frames.mp4": lambda ffmpeg, path: flash_and_beep(
        ffmpeg, path, "-bf", 8, "-x264-params", "b-pyramid=normal:ref=6"
    ),
    "ntsc.mp4": lambda ffmpeg, path: flash_and_beep(ffmpeg, path, fps="30000/1001"),
    "mono_48_khz.mp4": lambda ffmpeg, path: flash_and_beep(ffmpeg, path, "-ar", 48000, "-ac", 1),
    "no_edit_list.mp4": lambda ffmpeg, path: flash_and_beep(ffmpeg, path, "-use_editlist", 0),
    "negative_offsets.mp4": lambda ffmpeg, path: flash_and_beep(ffmpeg, path, "-movflags", "negative_cts_offsets"),
    "fragmented.mp4": lambda ffmpeg, path: flash_and_beep(ffmpeg, path, "-movflags", "frag_keyframe+empty_moov"),
    "matroska.mkv": flash_and_beep,
    "webm.webm": lambda ffmpeg, path: flash_and_beep(ffmpeg, path, "-c:v", "libvpx", "-c:a", "libopus", "-ar", 48000),
    "starts_late.mp4": lambda ffmpeg, path: flash_and_beep(ffmpeg, path, "-output_ts_offset", 5),
    "variable_rate.mp4": lambda ffmpeg, path: remade(
        ffmpeg, path, "-vf", f"select='gt(random(7),0.55)+{KEEP_EVENTS}+eq(n,0)'", "-fps_mode", "vfr", *X264
    ),
    "sound_gap.mp4": lambda ffmpeg, path: remade(
        ffmpeg, path, *COPY, "-bsf:a", "noise=drop='between(pts\\,88200\\,114660)'"
    ),
}  # fmt: skip


def events_of(path: Path, options: DecodeOptions) -> tuple[list[float], list[float]]:
    """When the flashes and the beeps of a file come, on the video clock."""
    clip = decode(path, options, root=path.parent, start_seconds=0.0)
    flashes = sorted({time for time, frame in zip(clip.frame_seconds, clip.frames, strict=True) if frame.mean() > 128})
    loud = np.flatnonzero(np.abs(clip.samples.astype(np.int32)) > 1600)
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-16_000) > 4_000)]
    return flashes, (starts / 16_000).tolist()


@pytest.mark.parametrize("name", ALIGNED)
def test_picture_and_sound_of_one_event_meet_within_a_log_mel_step(
    name: str, tmp_path: Path, ffmpeg: Ffmpeg, fine_options: DecodeOptions
) -> None:
    flashes, beeps = events_of(ALIGNED[name](ffmpeg, tmp_path / name), fine_options)
    assert flashes == pytest.approx(EVENTS_SECONDS, abs=0.02)  # half a frame
    assert beeps == pytest.approx(flashes, abs=0.01)  # one hop


def test_late_sound_stays_late(tmp_path: Path, ffmpeg: Ffmpeg, fine_options: DecodeOptions) -> None:
    """Joining the samples from the file's first one would move every beep 0.3 s ahead."""
    path = flash_and_beep(ffmpeg, tmp_path / "late.mp4", sound_delay=0.3)
    flashes, beeps = events_of(path, fine_options)
    assert [beep - flash for beep, flash in zip(beeps, flashes, strict=True)] == pytest.approx([0.3] * 4, abs=0.01)


def test_a_gap_in_the_sound_is_silent_and_counted(tmp_path: Path, ffmpeg: Ffmpeg, fine_options: DecodeOptions) -> None:
    """0.6 of 3.8 s are missing."""
    path = ALIGNED["sound_gap.mp4"](ffmpeg, tmp_path / "gap.mp4")
    clip = decode(path, fine_options, root=tmp_path, start_seconds=0.0)
    assert clip.audio_coverage == pytest.approx(1 - 0.6 / 3.8, abs=0.02)
    assert not clip.samples[int(2.1 * 16_000) : int(2.5 * 16_000)].any()


def test_a_copied_cut_hides_its_first_pictures(tmp_path: Path, ffmpeg: Ffmpeg, fine_options: DecodeOptions) -> None:
    """Cutting at 0.5 s without encoding keeps the frames from 0 s on behind an edit list; they are never shown."""
    path = remade(ffmpeg, tmp_path / "cut.mp4", *COPY, seek=0.5)
    flashes, beeps = events_of(path, replace(fine_options, num_segments=80))
    assert beeps == pytest.approx(flashes, abs=0.021)  # the cut itself lies half a frame beside a frame
    assert flashes[0] == pytest.approx(0.1, abs=0.021)


def test_a_long_video_keeps_its_middle(video: Path, options: DecodeOptions) -> None:
    clip = decode(video, replace(options, num_segments=2), root=video.parent, start_seconds=None)
    assert (clip.start_seconds, clip.end_seconds) == (1.0, 3.0)
    assert clip.frame_seconds == (1.48, 2.48)  # on screen at 1.5 and 2.5 s, at 25 frames a second


def test_a_start_moves_the_clip(video: Path, options: DecodeOptions) -> None:
    """Sound moves by whole samples: half of one is 2 pi 440 / 16000 / 2 = 9 % of a 440 Hz tone's amplitude of 4096."""
    whole = decode(video, options, root=video.parent, start_seconds=0.0)
    part = decode(video, replace(options, num_segments=2), root=video.parent, start_seconds=2.0)
    assert np.array_equal(part.frames[0], whole.frames[2])
    assert np.abs(part.samples - whole.samples[32_000:].astype(np.int32)).max() <= 0.09 * 4096


def test_a_turned_video_is_set_upright(tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions) -> None:
    """The same pixels as ffmpeg shows, which turns by itself."""
    for degrees in (90, 180, 270):
        path = tmp_path / f"turned_{degrees}.mp4"
        ffmpeg("-display_rotation", degrees, "-i", video, *COPY, path)
        raw = ffmpeg("-ss", 0.48, "-i", path, "-frames:v", 1, "-vf", "crop=64:64,scale=32:32", "-f", "rawvideo",
                     "-pix_fmt", "rgb24", "-")  # fmt: skip
        expected = np.frombuffer(raw, dtype=np.uint8).reshape(32, 32, 3).astype(int)
        clip = decode(path, options, root=tmp_path, start_seconds=0.0)
        assert np.abs(clip.frames[0] - expected).mean() < 20, f"turned by {degrees} degrees"


def test_wide_pixels_are_shown_wide(tmp_path: Path, ffmpeg: Ffmpeg, options: DecodeOptions) -> None:
    """A green band of half the width fills the middle square when pixels are twice as wide as high."""
    path = tmp_path / "wide.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:r=5:d=4,drawbox=x=15:y=0:w=34:h=64:c=lime:t=fill,setsar=2",
           "-f", "lavfi", "-i", "sine=d=4", *X264, *AAC, path)  # fmt: skip
    clip = decode(path, options, root=tmp_path, start_seconds=None)
    assert clip.frames[0][..., 0].max() < 60
    assert clip.frames[0][..., 1].min() > 200


def test_the_middle_of_the_longer_side_is_kept(tmp_path: Path, ffmpeg: Ffmpeg, options: DecodeOptions) -> None:
    path = tmp_path / "panorama.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=256x64:r=5:d=4,drawbox=x=94:y=0:w=68:h=64:c=lime:t=fill",
           "-f", "lavfi", "-i", "sine=d=4", *X264, *AAC, path)  # fmt: skip
    clip = decode(path, options, root=tmp_path, start_seconds=None)
    assert clip.frames[0].shape == (32, 32, 3)
    assert clip.frames[0][..., 0].max() < 60


def bytes_of(video: Path, share: float) -> bytes:
    data = video.read_bytes()
    return data[: int(share * len(data))]


REFUSED: dict[str, Callable[[Ffmpeg, Path, Path], object]] = {
    "missing_file": lambda ffmpeg, video, path: None,
    "not_regular": lambda ffmpeg, video, path: os.mkfifo(path),
    "outside_root": lambda ffmpeg, video, path: path.symlink_to(video),
    "unreadable": lambda ffmpeg, video, path: path.symlink_to(path),
    "not_media": lambda ffmpeg, video, path: path.write_text(f"ffconcat version 1.0\nfile '{video}'\n"),
    "open_failed": lambda ffmpeg, video, path: path.write_bytes(video.read_bytes()[:64]),
    "no_audio": lambda ffmpeg, video, path: ffmpeg("-i", video, "-an", *COPY, path),
    "no_video": lambda ffmpeg, video, path: ffmpeg("-i", video, "-vn", *COPY, path),
    "too_short": lambda ffmpeg, video, path: ffmpeg("-i", video, "-t", 3.5, path),
    "one_frame": lambda ffmpeg, video, path: ffmpeg("-i", video, "-vf", "trim=end_frame=1", "-c:a", "copy", path),
    "audio_coverage": lambda ffmpeg, video, path: ffmpeg("-i", video, "-c:v", "copy", "-af", "atrim=0:0.3", path),
    "frame_rate": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-vf", "settb=1/90000,setpts=N*90", "-enc_time_base", "1/90000", "-fps_mode", "passthrough",
        *X264, "-video_track_timescale", 90000, path),
    "too_large": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-vf", "scale=4224:16", "-frames:v", 3, *X264, "-c:a", "copy", path),
    "too_long": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-vf", "setpts=N*20/TB", "-fps_mode", "passthrough", "-enc_time_base", "1/25", *X264, path),
    "truncated": lambda ffmpeg, video, path: (
        ffmpeg("-i", video, *COPY, "-movflags", "faststart", path), path.write_bytes(bytes_of(path, 0.6))),
    "decode_errors": lambda ffmpeg, video, path: path.write_bytes(with_noise(video.read_bytes())),
    "nonfinite_audio": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-af", "aeval=if(between(t\\,1\\,2)\\,1/0\\,0)", "-c:v", "copy", "-c:a", "pcm_f32le",
        "-f", "mov", path),
}  # fmt: skip


def with_noise(data: bytes) -> bytes:
    """A file whose media data is half noise, its index untouched."""
    damaged = bytearray(data)
    start, end = data.find(b"mdat") + 2000, data.find(b"moov")
    noise = np.random.default_rng(0).integers(0, 256, end - start, dtype=np.uint8).tobytes()
    for offset in range(0, end - start - 32, 64):
        damaged[start + offset : start + offset + 32] = noise[offset : offset + 32]
    return bytes(damaged)


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_stored_is_refused_with_its_reason(
    reason: str, tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions
) -> None:
    path = tmp_path / "-clip.mp4"
    REFUSED[reason](ffmpeg, video, path)
    with pytest.raises(DecodeError) as error:
        decode(path, options, root=tmp_path, start_seconds=None)
    assert error.value.reason == reason
    assert error.value.detail


def test_a_cut_last_packet_is_forgiven(tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions) -> None:
    path = tmp_path / "cut.mp4"
    ffmpeg("-i", video, *COPY, "-movflags", "faststart", path)
    path.write_bytes(path.read_bytes()[:-100])
    clip = decode(path, options, root=tmp_path, start_seconds=None)
    assert len(clip.frames) == 4
    assert clip.audio_coverage > 0.95


def test_cover_art_is_not_the_video(tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions) -> None:
    path, cover = tmp_path / "cover.mp4", tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=300x300", "-frames:v", 1, cover)
    ffmpeg("-i", cover, "-i", video, "-map", 0, "-map", 1, *COPY, "-disposition:v:0", "attached_pic", path)
    clip = decode(path, options, root=tmp_path, start_seconds=None)
    whole = decode(video, options, root=video.parent, start_seconds=None)
    assert np.array_equal(clip.frames[0], whole.frames[0])
