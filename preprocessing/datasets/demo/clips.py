"""Clip number i of the demo data set: what it shows and plays, and how it becomes an MP4 file.

The eight classes stand on a ring; each looks like one neighbour and sounds like the other, so that the class must be
read from picture and sound together:

    violin =look= guitar =sound= piano =look= organ =sound= accordion =look= bagpipes =sound= harmonica =look= singing
    =sound= violin
"""

from __future__ import annotations

import shutil
import string
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import Field, NonNegativeFloat, model_validator

from preprocessing.datasets.demo.scenes import HEIGHT, LOOKS, WIDTH, Actor, SceneStyle, render_frames
from preprocessing.datasets.demo.sounds import SAMPLE_RATE_HZ, SOUNDS, Note, Voice, compose, render_sound
from preprocessing.errors import ResourceError
from preprocessing.schema import SPLITS, Split
from preprocessing.settings import Settings
from preprocessing.storage.atomic_file import replacing

CLIP_SECONDS = 4.0
FRAMES_PER_SECOND = 25.0
FRAME_WIDTH, FRAME_HEIGHT = 340, 256
ENCODE_SECONDS_LIMIT = 120.0
"""An encode takes a fraction of a second; one that takes this long hangs."""

CLASS_STREAMS = {
    "playing violin": ("string_instrument", "sung"),
    "playing guitar": ("string_instrument", "plucked"),
    "playing piano": ("keyboard", "plucked"),
    "playing organ": ("keyboard", "sustained"),
    "playing accordion": ("bellows", "sustained"),
    "playing bagpipes": ("bellows", "reedy"),
    "playing harmonica": ("face", "reedy"),
    "singing": ("face", "sung"),
}
"""Look and sound of each class, in the order of the ring."""
DEMO_CLASSES = tuple(CLASS_STREAMS)


class Difficulty(Settings):
    """Noise, distractors and weak streams that make the clips hard to tell apart."""

    picture_contrast: tuple[float, float] = (0.55, 1.0)
    """Range of how clearly the performer covers the background."""
    background_contrast: NonNegativeFloat = 0.12
    """Spread of the background's texture, in [0, 1] pixel units."""
    camera_noise: NonNegativeFloat = 0.01
    """Standard deviation of each frame's own grain, in [0, 1] pixel units."""
    noise_db: tuple[float, float] = (-22.0, -8.0)
    """Range of the room noise's level relative to the music, in decibels."""
    weak_picture_share: float = Field(default=0.06, ge=0.0, le=1.0)
    """Share of clips whose performer hardly shows (a fifth of the contrast)."""
    weak_sound_share: float = Field(default=0.06, ge=0.0, le=1.0)
    """Share of clips whose music is 24 dB deeper in the noise."""
    ambiguous_share: float = Field(default=0.04, ge=0.0, le=1.0)
    """Share of clips in which one stream shows or plays both what belongs to the class and what belongs to the
    neighbour, equally strong: nobody can tell these better than by a coin's toss."""
    distractor_share: float = Field(default=0.25, ge=0.0, le=1.0)
    """Probability of something else small at the side, and, independently, of something else faint to hear."""
    distractor_db: float = -14.0
    """Level of the faint other sound relative to the music, in decibels."""
    lean: NonNegativeFloat = 0.3
    """Distance between the two classes of the same look (or sound) in size, tint and register, in standard
    deviations: 0.3 lets a perfect eye (or ear) alone tell them apart in 56 of 100 clips."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Difficulty:
        wrong = [
            f"{name}={(low, high)} must be a range from low to high"
            for name, (low, high) in (("picture_contrast", self.picture_contrast), ("noise_db", self.noise_db))
            if low > high
        ]
        if min(self.picture_contrast) < 0.0 or max(self.picture_contrast) > 1.0:
            wrong.append(f"picture_contrast={self.picture_contrast} must lie in [0, 1]")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


@dataclass(frozen=True)
class ClipPlan:
    """All about one clip that is cheap to know."""

    split: Split
    index: int
    label: int
    youtube_id: str
    """11 letters like those of a video site; may begin with `-`."""
    time_start: int
    """Start of the clip in the imaginary video that it was "cut" from, in seconds."""

    @property
    def time_end(self) -> int:
        """End of the clip in its imaginary video, in seconds."""
        return self.time_start + round(CLIP_SECONDS)

    @property
    def class_name(self) -> str:
        """The label in words."""
        return DEMO_CLASSES[self.label]

    @property
    def file_name(self) -> str:
        """`<youtube id>_<start:06d>_<end:06d>.mp4`, as Kinetics names its clips."""
        return f"{self.youtube_id}_{self.time_start:06d}_{self.time_end:06d}.mp4"


@dataclass(frozen=True)
class Clip:
    """A rendered clip."""

    notes: tuple[Note, ...]
    frames: UInt8[np.ndarray, "frames 3 height width"]
    """RGB at `FRAMES_PER_SECOND`, half the size of the encoded video."""
    sound: Float[np.ndarray, " samples"]
    """Mono at `SAMPLE_RATE_HZ`, in (-1, 1)."""


def plan_clip(seed: int, split: Split, index: int) -> ClipPlan:
    """The plan of clip `index` of a split; classes take turns, so every split is balanced."""
    generator = _generators(seed, split, index)[0]
    alphabet = np.array(list(string.ascii_letters + string.digits + "-_"))
    return ClipPlan(
        split=split,
        index=index,
        label=index % len(DEMO_CLASSES),
        youtube_id="".join(generator.choice(alphabet, 11)),
        time_start=int(generator.integers(0, 300)),
    )


def render_clip(seed: int, plan: ClipPlan, difficulty: Difficulty) -> Clip:
    """Frames and sound of a planned clip: a pure function of its arguments."""
    _, casting, melody, picture, sound = _generators(seed, plan.split, plan.index)
    look, sound_name = CLASS_STREAMS[plan.class_name]
    lean = casting.normal(0.0, 1.0, 2) + difficulty.lean * (0.5 if plan.label % 2 else -0.5) * np.array([1.0, -1.0])
    actors, voices = _cast(casting, look, sound_name, difficulty)
    notes = compose(melody, clip_seconds=CLIP_SECONDS, lean=lean[1])
    style = SceneStyle(difficulty.background_contrast, difficulty.camera_noise, lean[0])
    num_frames = round(CLIP_SECONDS * FRAMES_PER_SECOND)
    return Clip(
        notes=notes,
        frames=render_frames(picture, actors, notes, style, num_frames=num_frames, frames_per_second=FRAMES_PER_SECOND),
        sound=render_sound(
            sound, notes, voices, clip_seconds=CLIP_SECONDS, noise_db=casting.uniform(*difficulty.noise_db)
        ),
    )


def encode_clip(clip: Clip, target: Path, *, seed: int) -> None:
    """Write a clip as H.264 and AAC in MP4; the file appears under its name only when it is complete.

    Raises:
        RuntimeError: if ffmpeg fails or does not end in time, with its last words.
    """
    from scipy.io import wavfile  # takes half a second, which reading settings is spared

    with replacing(target) as partial, tempfile.TemporaryDirectory() as folder:
        sound_file = Path(folder) / "sound.wav"
        wavfile.write(sound_file, SAMPLE_RATE_HZ, clip.sound)
        command = encode_command(sound_file, partial, seed=seed)
        try:
            done = subprocess.run(
                command,
                input=clip.frames[:, (1, 2, 0)].tobytes(),
                capture_output=True,
                timeout=ENCODE_SECONDS_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ResourceError(
                f"encoding '{target}' took longer than {ENCODE_SECONDS_LIMIT:g} s: the processors are too busy; "
                "run the same command again, the clips made so far are kept"
            ) from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-500:]
            if "No space left" in said:
                raise ResourceError(f"no space is left for '{target}'; free some and run the same command again")
            raise RuntimeError(f"'{command[0]}' could not encode '{target}' (exit status {done.returncode}): {said}")


def encode_command(sound_file: Path, target: Path, *, seed: int) -> list[str]:
    """The ffmpeg command that reads G, B and R planes from its standard input; quality, frame types and rate vary."""
    generator = np.random.default_rng(seed)
    frames = ffmpeg.input(
        "pipe:0", format="rawvideo", pixel_format="gbrp", video_size=(WIDTH, HEIGHT), framerate=FRAMES_PER_SECOND
    )
    output = ffmpeg.output(
        frames.filter("scale", FRAME_WIDTH, FRAME_HEIGHT, flags="fast_bilinear"),
        ffmpeg.input(str(sound_file)),
        str(target),
        format="mp4",
        vcodec="libx264",
        preset="veryfast",
        # Searches that drawn pictures do not need: leaving them out saves a third of the encoder's time.
        **{"x264-params": "subme=0:me=dia:ref=1:trellis=0:weightp=0:partitions=none:rc-lookahead=10"},
        crf=int(generator.integers(20, 27)),
        g=int(generator.integers(12, 120)),
        bf=int(generator.choice([0, 0, 2])),
        pix_fmt="yuv420p",
        acodec="aac",
        aac_coder="fast",
        audio_bitrate="96k",
        ar=int(generator.choice([32_000, 44_100])),
        threads=1,
        filter_threads=1,
        fflags="+bitexact",
        movflags="+faststart",
    )
    executable = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    command: list[str] = output.global_args("-v", "error").compile(cmd=executable, overwrite_output=True)
    return command


def _generators(seed: int, split: Split, index: int) -> list[np.random.Generator]:
    """Independent streams for a clip's name, cast, melody, picture and sound."""
    root = np.random.SeedSequence([seed, SPLITS.index(split), index])
    return [np.random.default_rng(child) for child in root.spawn(5)]


def _cast(
    generator: np.random.Generator, look: str, sound: str, difficulty: Difficulty
) -> tuple[list[Actor], list[Voice]]:
    """Choose who is seen and who is heard: the class's own look and sound, and now and then something else."""
    look_twin = next(name for name, other in CLASS_STREAMS.values() if other == sound and name != look)
    sound_twin = next(other for name, other in CLASS_STREAMS.values() if name == look and other != sound)
    chance = generator.random(5)
    contrast = generator.uniform(*difficulty.picture_contrast)
    contrast *= 0.2 if chance[0] < difficulty.weak_picture_share else 1.0
    level = 10.0 ** (-24.0 / 20.0) if chance[1] < difficulty.weak_sound_share else 1.0
    actors, voices = [Actor(look, contrast)], [Voice(sound, level)]
    if chance[2] < difficulty.distractor_share:
        bystander = str(generator.choice([name for name in LOOKS if name != look]))
        actors.insert(0, Actor(bystander, contrast, is_lead=False))
    if chance[3] < difficulty.distractor_share:
        faint = str(generator.choice([name for name in SOUNDS if name != sound]))
        voices.append(Voice(faint, level * 10.0 ** (difficulty.distractor_db / 20.0)))
    if chance[4] < difficulty.ambiguous_share / 2.0:
        actors = [Actor(look, contrast), Actor(look_twin, contrast / 2.0)]
    elif chance[4] < difficulty.ambiguous_share:
        voices = [Voice(sound, level), Voice(sound_twin, level)]
    return actors, voices
