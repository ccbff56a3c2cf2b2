"""Decoding: everything lies where its own timestamp puts it, and what cannot be stored is refused with one word."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from preprocessing.decoding.acceptance import DecodeError, DecodeOptions
from preprocessing.decoding.clip import decode
from tests.preprocessing.recordings import AAC, COPY, X264, Ffmpeg, make_recording


def test_a_gap_in_the_sound_is_silent_and_counted(media: Path, ffmpeg: Ffmpeg, fine_options: DecodeOptions) -> None:
    """0.6 of 3.8 s are missing."""
    path = make_recording("sound_gap.mp4", media, ffmpeg).path
    clip = decode(path, fine_options, root=media, start_seconds=0.0)
    assert clip.audio_coverage == pytest.approx(1 - 0.6 / 3.8, abs=0.02)
    assert not clip.samples[int(2.1 * 16_000) : int(2.5 * 16_000)].any()


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
    "sound_ends_early": lambda ffmpeg, video, path: ffmpeg("-i", video, "-c:v", "copy", "-af", "atrim=0:3.5", path),
    "one_frame": lambda ffmpeg, video, path: ffmpeg("-i", video, "-vf", "trim=end_frame=1", "-c:a", "copy", path),
    "audio_coverage": lambda ffmpeg, video, path: ffmpeg("-i", video, "-c:v", "copy", "-af", "atrim=0:0.3", path),
    "frame_rate": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-vf", "settb=1/90000,setpts=N*90", "-enc_time_base", "1/90000", "-fps_mode", "passthrough",
        *X264, "-video_track_timescale", 90000, path),
    "too_large": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-vf", "scale=4224:16", "-frames:v", 3, *X264, "-c:a", "copy", path),
    "too_long": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-vf", "setpts=N*8/TB", "-fps_mode", "passthrough", "-enc_time_base", "1/25", *X264, path),
    "truncated": lambda ffmpeg, video, path: (
        ffmpeg("-i", video, *COPY, "-movflags", "faststart", path), path.write_bytes(bytes_of(path, 0.6))),
    "decode_errors": lambda ffmpeg, video, path: path.write_bytes(with_noise(video.read_bytes())),
    "dimension_mismatch": lambda ffmpeg, video, path: path.write_bytes(claiming(video.read_bytes(), 640, 480)),
    "timestamp_jump": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-vf", "setpts=PTS+gt(N\\,50)*3600/TB", "-fps_mode", "passthrough", *X264, "-c:a", "copy", path),
    "broken_clock": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, *X264, "-bf", 0, "-bsf:v", "setts=dts=N:pts=floor(N/2)*2", "-c:a", "copy", path),
    "clocks_differ": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-itsoffset", 100, "-i", video, "-map", "0:v", "-map", "1:a", *COPY, "-f", "matroska", path),
    "nonfinite_audio": lambda ffmpeg, video, path: ffmpeg(
        "-i", video, "-af", "aeval=if(between(t\\,1\\,2)\\,1/0\\,0)", "-c:v", "copy", "-c:a", "pcm_f32le",
        "-f", "mov", path),
}  # fmt: skip


def claiming(data: bytes, width: int, height: int) -> bytes:
    """An MP4 file whose header claims another size: two 16-bit numbers 32 bytes into the sample entry."""
    entry = data.find(b"stsd") + 12
    return data[: entry + 32] + struct.pack(">HH", width, height) + data[entry + 36 :]


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


def test_damage_is_counted_and_refused_and_never_hidden(
    tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions
) -> None:
    """Every picture by itself, the one on screen at 0.5 s half overwritten: concealing it would store a picture that
    nobody filmed. The one before it, at 0.44 s, stays."""
    path = tmp_path / "damaged.mp4"
    ffmpeg("-i", video, *X264, "-g", 1, "-c:a", "copy", path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        pts = round(0.48 / stream.time_base)
        wanted = next(packet for packet in container.demux(stream) if packet.pts == pts)
        assert wanted.pos is not None
        start, end = wanted.pos + wanted.size // 2, wanted.pos + wanted.size
    data = path.read_bytes()
    path.write_bytes(data[:start] + bytes(end - start) + data[end:])
    assert refusal(path, options).reason == "missing_frames"
    clip = decode(path, replace(options, max_missing_frames=1), root=tmp_path, start_seconds=None)
    assert (clip.missing_frames, clip.decode_errors) == (1, 1)
    assert clip.frame_seconds == (0.44, 1.48, 2.48, 3.48)
    assert refusal(path, replace(options, max_missing_frames=1, max_decode_errors=0)).reason == "decode_errors"


def test_cover_art_is_not_the_video(tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions) -> None:
    path, cover = tmp_path / "cover.mp4", tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=300x300", "-frames:v", 1, cover)
    ffmpeg("-i", cover, "-i", video, "-map", 0, "-map", 1, *COPY, "-disposition:v:0", "attached_pic", path)
    clip = decode(path, options, root=tmp_path, start_seconds=None)
    whole = decode(video, options, root=video.parent, start_seconds=None)
    assert np.array_equal(clip.frames[0], whole.frames[0])


def test_a_size_is_refused_before_anything_of_it_is_decoded(
    tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions
) -> None:
    """A header that claims 65535x65535 over 96x64, and pictures of 5000x5000 behind a header that claims 96x64."""
    huge, bomb = tmp_path / "huge.mp4", tmp_path / "bomb.mp4"
    huge.write_bytes(claiming(video.read_bytes(), 65535, 65535))
    ffmpeg("-f", "lavfi", "-i", "color=gray:s=5000x5000:r=1:d=2,format=gray", "-i", video, "-map", "0:v", "-map", "1:a",
           "-c:v", "png", "-c:a", "copy", bomb)  # fmt: skip
    assert refusal(huge, options).reason == "too_large"
    assert refusal(bomb, options).reason == "too_large"
    bomb.write_bytes(claiming(bomb.read_bytes(), 96, 64))
    assert refusal(bomb, options).reason == "no_frames"
    assert "size" in refusal(bomb, options).detail


def refusal(path: Path, options: DecodeOptions) -> DecodeError:
    with pytest.raises(DecodeError) as error:
        decode(path, options, root=path.parent, start_seconds=None)
    return error.value


def test_clocks_that_start_again_or_drift_are_refused(
    tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions
) -> None:
    """A transport stream after itself, and sound whose times run 5 % slower than its samples; 0.1 % is followed."""
    stream, twice = tmp_path / "once.ts", tmp_path / "twice.ts"
    ffmpeg("-i", video, *COPY, stream)
    twice.write_bytes(2 * stream.read_bytes())
    assert refusal(twice, options).reason == "timestamp_jump"
    for drift, expected in (("1.05", "broken_clock"), ("1.001", None)):
        path = tmp_path / f"{drift}.mkv"
        ffmpeg("-i", video, *COPY, "-bsf:a", f"setts=ts=PTS*{drift}", path)
        if expected:
            assert refusal(path, options).reason == expected
        else:
            assert decode(path, options, root=tmp_path, start_seconds=None).audio_coverage > 0.99


def test_avi_is_refused_when_its_pictures_are_stored_out_of_order(
    tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions
) -> None:
    """AVI stores no presentation times: in stored order they follow from the frame rate, out of it from nothing."""
    for num_b_frames in (0, 2):
        ffmpeg("-i", video, "-c:v", "mpeg4", "-bf", num_b_frames, "-c:a", "pcm_s16le", tmp_path / f"{num_b_frames}.avi")
    assert decode(tmp_path / "0.avi", options, root=tmp_path, start_seconds=None).frame_seconds[0] == 0.48
    assert refusal(tmp_path / "2.avi", options).reason == "no_timestamps"


def cut(ffmpeg: Ffmpeg, video: Path, path: Path, *, video_seconds: float = 4.0, sound_seconds: float = 4.0) -> Path:
    """The test video with one stream ended early."""
    ffmpeg("-i", video, "-vf", f"trim=0:{video_seconds}", "-af", f"atrim=0:{sound_seconds}", *X264, *AAC, path)
    return path


def test_a_short_video_is_left_out_or_its_last_frame_stays(
    tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions
) -> None:
    """2 of 4 s: the frames at 2.5 and 3.5 s are the one shown last, at 1.96 s."""
    path = cut(ffmpeg, video, tmp_path / "short.mp4", video_seconds=2.0)
    assert refusal(path, options).reason == "too_short"
    clip = decode(path, replace(options, missing_tail="pad"), root=tmp_path, start_seconds=None)
    assert clip.frame_seconds == (0.48, 1.48, 1.96, 1.96)
    assert (clip.start_seconds, clip.video_coverage, clip.missing_frames) == (0.0, 0.5, 0)
    assert clip.audio_coverage > 0.98
    assert np.array_equal(clip.frames[2], clip.frames[3])
    assert not np.array_equal(clip.frames[1], clip.frames[2])
    strict = replace(options, missing_tail="pad", min_video_coverage=0.6)
    assert refusal(path, strict).reason == "video_coverage"


def test_short_sound_is_left_out_or_becomes_silence(
    tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions
) -> None:
    """1 of 4 s; AAC fills its last block of 23 ms."""
    path = cut(ffmpeg, video, tmp_path / "quiet.mp4", sound_seconds=1.0)
    assert refusal(path, options).reason == "sound_ends_early"
    clip = decode(path, replace(options, missing_tail="pad"), root=tmp_path, start_seconds=None)
    assert clip.audio_coverage == pytest.approx(0.25, abs=0.01)
    assert np.abs(clip.samples[:16_000]).max() > 3000
    assert not clip.samples[int(1.05 * 16_000) :].any()
    assert clip.video_coverage == 1.0
    strict = replace(options, missing_tail="pad", min_audio_coverage=0.5)
    assert refusal(path, strict).reason == "audio_coverage"


def test_streams_may_end_a_quarter_of_a_segment_early(
    tmp_path: Path, ffmpeg: Ffmpeg, video: Path, options: DecodeOptions
) -> None:
    """3.8 of 4 s pass without a setting, and the record says so."""
    path = cut(ffmpeg, video, tmp_path / "nearly.mp4", video_seconds=3.8, sound_seconds=3.8)
    clip = decode(path, options, root=tmp_path, start_seconds=0.0)
    assert clip.video_coverage == 0.95
    assert clip.audio_coverage == pytest.approx(0.95, abs=0.01)
