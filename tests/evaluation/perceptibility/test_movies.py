"""Movies and sounds: read again by this module and by ffmpeg's own program, and held against what went in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np
import pytest

from evaluation.perceptibility import movies
from evaluation.perceptibility.movies import (
    LOSSLESS,
    Frames,
    Samples,
    as_16_bit,
    decode_frames,
    decode_samples,
    encode_flac,
    encode_movie,
    enlarged,
    platform_coding,
    reduced,
    require_codecs,
)
from preprocessing.errors import ResourceError, SettingsError
from preprocessing.schema import ClipFormat
from preprocessing.storage.stored_sample import decode_flac

FORMAT = ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32)
PLATFORM = platform_coding(crf=23, aac_kbps=64)


@pytest.fixture
def frames() -> Frames:
    """Noise: nothing in it can be guessed."""
    return np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def samples() -> Samples:
    """A tone in noise, and a click in the middle by which a delay would be seen."""
    generator = np.random.default_rng(0)
    times = np.arange(32_000) / 16_000
    sound = 0.3 * np.sin(2 * np.pi * 440 * times) + generator.normal(0, 0.02, times.shape)
    sound[16_000:16_010] += 0.5
    return sound.astype(np.float32)


def by_program(movie: bytes, tmp_path: Path, stream: str, **options: object) -> bytes:
    """What ffmpeg's program makes of a stream."""
    path = tmp_path / "movie.mp4"
    path.write_bytes(movie)
    output = ffmpeg.input(str(path))[stream].output("pipe:", **options).global_args("-loglevel", "error")
    command = output.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def test_a_lossless_movie_keeps_every_level_and_every_sample(frames: Frames, samples: Samples, tmp_path: Path) -> None:
    movie = encode_movie(frames, samples, LOSSLESS, FORMAT)
    assert (decode_frames(movie, 32, 32) == frames).all()
    assert (as_16_bit(decode_samples(movie, len(samples))) == as_16_bit(samples)).all()
    pixels = by_program(movie, tmp_path, "v", format="rawvideo", pix_fmt="rgb24")
    assert pixels == frames.tobytes()
    heard = by_program(movie, tmp_path, "a", format="s16le")
    assert heard == as_16_bit(samples).tobytes()


def test_frames_are_on_screen_for_their_segments(frames: Frames, samples: Samples, tmp_path: Path) -> None:
    (tmp_path / "movie.mp4").write_bytes(encode_movie(frames, samples, PLATFORM, FORMAT))
    with av.open(str(tmp_path / "movie.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, video.pix_fmt, audio.codec.name, audio.rate) == ("h264", "yuv420p", "aac", 16_000)
        assert [float(frame.time) for frame in container.decode(video=0)] == [0.0, 0.5, 1.0, 1.5]
        assert container.duration == pytest.approx(2e6, rel=0.03)


def test_aac_keeps_the_sound_where_it_was(samples: Samples, tmp_path: Path) -> None:
    """A delay of one sample would cost correlation; that of the encoder, 1,024 samples, would cost all of it."""
    movie = encode_movie(None, samples, platform_coding(crf=23, aac_kbps=64), FORMAT)
    found = decode_samples(movie, len(samples))
    assert len(found) == 32_000
    assert np.corrcoef(found, samples)[0, 1] > 0.999
    assert np.abs(found - samples).max() > 1e-4
    program = np.frombuffer(by_program(movie, tmp_path, "a", format="f32le"), np.float32)[:32_000]
    assert np.abs(program - found[: len(program)]).max() < 1e-3
    assert len(program) == 32_000


def test_less_rate_leaves_less(samples: Samples) -> None:
    kept = [
        np.abs(
            decode_samples(encode_movie(None, samples, platform_coding(crf=23, aac_kbps=kbps), FORMAT), 32_000)
            - samples
        ).mean()
        for kbps in (64, 16)
    ]
    assert kept[0] < kept[1]


def test_compressed_frames_are_near_and_not_the_same(frames: Frames) -> None:
    large = enlarged(frames, 7)
    found = reduced(decode_frames(encode_movie(large, None, PLATFORM, FORMAT), 224, 224), 7)
    error = np.abs(found.astype(int) - frames).mean()
    assert 0 < error < 40
    coarse = reduced(
        decode_frames(encode_movie(large, None, platform_coding(crf=45, aac_kbps=64), FORMAT), 224, 224), 7
    )
    assert np.abs(coarse.astype(int) - frames).mean() > error


def test_odd_sides_are_padded_and_cut_again(frames: Frames) -> None:
    odd = frames[:, :31, :29]
    assert decode_frames(encode_movie(odd, None, PLATFORM, FORMAT), 31, 29).shape == (4, 31, 29, 3)
    assert (decode_frames(encode_movie(odd, None, LOSSLESS, FORMAT), 31, 29) == odd).all()


def test_the_same_clip_gives_the_same_bytes(frames: Frames, samples: Samples) -> None:
    assert encode_movie(frames, samples, PLATFORM, FORMAT) == encode_movie(frames, samples, PLATFORM, FORMAT)


def test_flac_is_read_by_the_reader_of_stored_clips(samples: Samples) -> None:
    rate, found = decode_flac(encode_flac(samples, 16_000), max_samples=1 << 20)
    assert rate == 16_000
    assert (found == as_16_bit(samples)).all()


def test_16_bit_is_rounded_to_the_nearest_and_cut_off() -> None:
    values = np.array([0.0, 0.4 / 32768, 0.6 / 32768, -1.0, 1.0, -0.6 / 32768], np.float32)
    assert as_16_bit(values).tolist() == [0, 0, 1, -32768, 32767, -1]


def test_enlarged_frames_are_squares_and_come_back(frames: Frames) -> None:
    large = enlarged(frames, 3)
    assert large.shape == (4, 96, 96, 3)
    assert (large[:, 3:6, 6:9] == frames[:, 1:2, 2:3]).all()
    assert (reduced(large, 3) == frames).all()
    large[0, :3, :3, 0] = np.arange(9).reshape(3, 3)
    assert reduced(large, 3)[0, 0, 0, 0] == 4


def test_missing_codecs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_codecs(16_000)
    with pytest.raises(SettingsError, match=r"clips have 15,999 Hz, and AAC allows 7350, 8000"):
        require_codecs(15_999)
    monkeypatch.setattr(movies, "CODECS", (*movies.CODECS, "nosuchcodec"))
    with pytest.raises(ResourceError, match="this build of PyAV cannot encode with nosuchcodec: install"):
        require_codecs(16_000)
