from __future__ import annotations

from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from pydantic import ValidationError

from preprocessing.datasets.class_lists import load_class_list
from preprocessing.datasets.demo.clips import (
    CLASS_STREAMS,
    DEMO_CLASSES,
    Clip,
    Difficulty,
    encode_clip,
    plan_clip,
    render_clip,
)
from preprocessing.datasets.demo.scenes import LOOKS
from preprocessing.datasets.demo.sounds import SAMPLE_RATE_HZ, SOUNDS
from preprocessing.datasets.entries import NAME

EASY = Difficulty(
    camera_noise=0.0,
    noise_db=(-50.0, -50.0),
    picture_contrast=(1.0, 1.0),
    weak_picture_share=0.0,
    weak_sound_share=0.0,
    ambiguous_share=0.0,
    distractor_share=0.0,
)


@pytest.fixture(scope="module")
def clip() -> Clip:
    """An easy clip of a guitar."""
    return render_clip(0, plan_clip(0, "train", 1), EASY)


@pytest.fixture(scope="module")
def encoded(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoded") / "clip.mp4"
    encode_clip(clip, path, seed=0)
    return path


def lag_in_frames(one: np.ndarray, other: np.ndarray, *, most: int) -> int:
    """How many frames `other` is later than `one`, up to `most` either way, by their cross-correlation."""
    one, other = one - one.mean(), other - other.mean()
    lags = range(-most, most + 1)
    return max(lags, key=lambda lag: float(one[most:-most] @ np.roll(other, -lag)[most:-most]))


def test_each_look_and_each_sound_belongs_to_two_classes_on_one_ring() -> None:
    """Walking from class to class by a shared look and a shared sound in turn visits all eight."""
    streams = list(CLASS_STREAMS.values())
    assert Counter(look for look, _ in streams) == dict.fromkeys(LOOKS, 2)
    assert Counter(sound for _, sound in streams) == dict.fromkeys(SOUNDS, 2)
    for index, (look, sound) in enumerate(streams):
        next_look, next_sound = streams[(index + 1) % len(streams)]
        assert (look == next_look, sound == next_sound) == ((True, False) if index % 2 == 0 else (False, True))


def test_classes_are_kinetics_sounds_classes() -> None:
    assert len(DEMO_CLASSES) == 8
    assert set(DEMO_CLASSES) <= set(load_class_list("ks31").names)


def test_plans_are_balanced_named_like_kinetics_and_differ_between_splits_and_seeds() -> None:
    plans = [plan_clip(seed, split, index) for seed in (0, 1) for split in ("train", "test") for index in range(40)]
    assert set(Counter(plan.label for plan in plans).values()) == {20}
    assert len({plan.youtube_id for plan in plans}) == len(plans)
    for plan in plans:
        match = NAME.fullmatch(plan.file_name.removesuffix(".mp4"))
        assert match is not None
        assert match["id"] == plan.youtube_id
        assert int(match["end"]) - int(match["start"]) == 4


def test_a_clip_is_a_pure_function_of_seed_split_and_index() -> None:
    plan = plan_clip(7, "test", 11)
    first, again = render_clip(7, plan, Difficulty()), render_clip(7, plan, Difficulty())
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.sound, again.sound)
    assert not np.array_equal(first.frames, render_clip(8, plan_clip(8, "test", 11), Difficulty()).frames)


def test_a_weak_picture_hides_the_performer_and_leaves_the_sound_alone() -> None:
    """The performer shows with a fifth of the contrast before an even wall."""

    def spread(clip: Clip) -> np.ndarray:
        return np.asarray(clip.frames.std(axis=(2, 3)).mean(axis=0))

    plan, even = plan_clip(0, "train", 1), {"background_contrast": 0.0}
    weak = render_clip(0, plan, EASY.model_copy(update={**even, "weak_picture_share": 1.0}))
    clear = render_clip(0, plan, EASY.model_copy(update=even))
    assert np.array_equal(weak.sound, clear.sound)
    assert np.allclose(spread(weak), 0.2 * spread(clear), rtol=0.2, atol=1.0)


def test_ranges_that_make_no_sense_are_all_named() -> None:
    with pytest.raises(ValidationError, match=r"noise_db=\(0.0, -9.0\) must be a range.*picture_contrast.*\[0, 1\]"):
        Difficulty(noise_db=(0.0, -9.0), picture_contrast=(0.5, 1.5))


def test_an_encoded_clip_has_the_streams_of_a_kinetics_clip(encoded: Path) -> None:
    with av.open(str(encoded)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 340, 256)
        assert str(video.average_rate) == "25"
        assert video.codec_context.pix_fmt == "yuv420p"
        assert (audio.codec_context.name, audio.channels) == ("aac", 1)
        assert audio.rate in (32_000, 44_100)
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(4.0, abs=0.03)
        assert sum(1 for _ in container.decode(video=0)) == 100


def test_an_encoded_clip_looks_and_sounds_like_what_was_rendered(clip: Clip, encoded: Path) -> None:
    with av.open(str(encoded)) as container:
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(float)
    shrunk = pictures.reshape(100, 128, 2, 170, 2, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    assert np.abs(shrunk - clip.frames).mean() < 6.0

    heard = decode_sound(encoded)
    agreement = np.corrcoef(heard[: len(clip.sound)], clip.sound[: len(heard)])[0, 1]
    assert agreement > 0.9


@pytest.mark.parametrize("index", [1, 2, 9])
def test_picture_and_sound_move_together(tmp_path: Path, index: int) -> None:
    """Of struck strings and keys: steps between frames against rises in loudness, within one frame of 40 ms.

    Melodies repeat themselves, so lags of up to 0.2 s are compared.
    """
    path = tmp_path / "clip.mp4"
    encode_clip(render_clip(0, plan_clip(0, "train", index), EASY), path, seed=0)
    with av.open(str(path)) as container:
        pictures = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)]).astype(float)
    heard = decode_sound(path)[: 4 * SAMPLE_RATE_HZ]
    heard = np.pad(heard, (0, 4 * SAMPLE_RATE_HZ - len(heard)))
    loudness = np.sqrt((heard.reshape(100, -1) ** 2).mean(axis=1))
    motion = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2))
    rises = np.maximum(np.diff(loudness), 0.0)
    assert abs(lag_in_frames(rises, motion, most=5)) <= 1


def test_encoding_twice_gives_the_same_bytes(clip: Clip, encoded: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mp4"
    encode_clip(clip, again, seed=0)
    assert again.read_bytes() == encoded.read_bytes()


def test_a_failed_encode_says_why_and_leaves_nothing(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program of the name, which fails."""
    program = tmp_path / "programs" / "ffmpeg"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ncat > /dev/null\necho "disk on fire" >&2\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    with pytest.raises(RuntimeError, match=r"could not encode '.*clip.mp4' \(exit status 3\): disk on fire"):
        encode_clip(clip, tmp_path / "videos" / "clip.mp4", seed=0)
    assert list((tmp_path / "videos").iterdir()) == []


def decode_sound(path: Path) -> np.ndarray:
    """The sound at `SAMPLE_RATE_HZ`, from the time the picture starts."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    parts: list[np.ndarray] = []
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        first = frames[0].time
        assert first is not None
        for frame in [*frames, None]:
            parts += [block.to_ndarray()[0] for block in resampler.resample(frame)]
    return np.concatenate(parts)[max(0, round(-first * SAMPLE_RATE_HZ)) :]
