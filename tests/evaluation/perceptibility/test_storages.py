from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.storages import Storage, levels_of, storages_of, through_jpeg
from preprocessing.schema import ClipFormat
from training.batch import Batch
from training.threat import AudioDomain

FORMAT = ClipFormat(num_segments=2, segment_seconds=0.5, frame_size=32, num_mels=32)
CONFIG = PerceptibilityConfig(evaluation="a", output="b")
OF_FRAMES = ["frames_8_bit", "jpeg_90", "jpeg_75", "h264", "h264_own_size"]
OF_SOUND = ["sound_16_bit", "aac_128", "aac_64", "lossless", "platform"]


def named(domain: AudioDomain, config: PerceptibilityConfig = CONFIG) -> dict[str, Storage]:
    return {storage.name: storage for storage in storages_of(config, FORMAT, domain)}


@pytest.fixture
def clips() -> Batch:
    """Two clips of smooth frames and a tone, with values between those that a file can hold."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(4, 3, 4, 4, generator=random)
    video = torch.nn.functional.interpolate(coarse, size=32, mode="bilinear").reshape(2, 2, 3, 32, 32)
    tone = 0.3 * torch.sin(torch.arange(16_000) * 0.17)
    audio = torch.stack([tone, tone.flip(0)]).reshape(2, 2, 8000) + 1e-3 * torch.randn(2, 2, 8000, generator=random)
    return Batch(video, audio, torch.tensor([0, 1]), ("a", "b"))


def test_sound_is_stored_where_the_threat_is_to_waveforms() -> None:
    assert list(named("logmel")) == OF_FRAMES
    assert list(named("waveform")) == OF_FRAMES + OF_SOUND
    assert all(storage.samples is None for storage in named("logmel").values())


def test_frames_that_are_not_enlarged_are_compressed_once() -> None:
    config = CONFIG.model_copy(update={"enlarge": 1, "jpeg_qualities": (50,), "aac_kbps": (32,)})
    assert list(named("logmel", config)) == ["frames_8_bit", "jpeg_50", "h264"]
    assert named("logmel", config)["h264"].title == "H.264 crf 23"
    assert named("waveform", config)["platform"].title == "H.264 and AAC 32 kbit/s: the platform's movie"


def test_a_storage_changes_its_modality_alone(clips: Batch) -> None:
    for name, storage in named("waveform").items():
        stored = storage.stored(clips)
        assert (storage.frames is None) == torch.equal(stored.video, clips.video), name
        assert (storage.samples is None) == torch.equal(stored.audio, clips.audio), name
        assert stored.video.dtype == stored.audio.dtype == torch.float32
        assert 0 <= stored.video.min() <= stored.video.max() <= 1


def test_rounding_is_at_most_half_a_level(clips: Batch) -> None:
    stored = named("waveform")["lossless"].stored(clips)
    assert (stored.video - clips.video).abs().max() <= 0.5001 / 255
    assert (stored.audio - clips.audio).abs().max() <= 0.5001 / 32768
    assert torch.equal(stored.video, (clips.video * 255).round() / 255)
    again = named("waveform")["lossless"].stored(stored)
    assert torch.equal(again.video, stored.video)
    assert torch.equal(again.audio, stored.audio)


def test_coarser_storages_lose_more(clips: Batch) -> None:
    losses = {
        name: float((storage.stored(clips).video - clips.video).abs().mean())
        for name, storage in named("logmel").items()
    }
    assert losses["frames_8_bit"] < losses["jpeg_90"] < losses["jpeg_75"]
    assert losses["frames_8_bit"] < losses["h264"] < losses["h264_own_size"]


def test_jpeg_is_a_jpeg(clips: Batch) -> None:
    """Pillow's, from another binding of libjpeg, at the same quality and colour sampling."""
    frames = levels_of(clips.video[0].numpy())
    assert frames.shape == (2, 32, 32, 3)
    for found, frame in zip(through_jpeg(frames, quality=75), frames, strict=True):
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=75, subsampling="4:2:0")
        expected = np.asarray(Image.open(file))
        assert np.abs(found.astype(int) - expected).mean() < 1.0


def test_the_platforms_movie_is_both_in_one(clips: Batch) -> None:
    """Frames and sound are compressed by themselves, so storing both is storing each."""
    storages = named("waveform")
    both = storages["platform"].stored(clips)
    assert torch.equal(both.video, storages["h264"].stored(clips).video)
    assert torch.equal(both.audio, storages["aac_128"].stored(clips).audio)
