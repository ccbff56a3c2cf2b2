from __future__ import annotations

import torch

from training.attacks.engine.gradients import Streams
from training.attacks.engine.paths import BAND_EDGES, COLOURS, band_noise, baselines, between, replaced_where_allowed
from training.batch import Batch
from training.threat import ThreatModel

WAVEFORM = ThreatModel.model_validate("linf(video=4/255, waveform=0.002)")


def sounding(num_clips: int = 3) -> Batch:
    """Clips of 4 x 512 samples; the last is silent."""
    source = torch.Generator().manual_seed(5)
    audio = 0.1 * torch.randn(num_clips, 4, 512, generator=source).clamp(-5, 5)
    audio[-1] = 0.0
    keys = tuple(f"clip_{number}" for number in range(num_clips))
    return Batch(torch.rand(num_clips, 4, 3, 8, 8, generator=source), audio, torch.zeros(num_clips).long(), keys)


def test_each_colour_has_its_frames_and_its_levels_of_low_middle_and_high_tones(
    batch: Batch, generator: torch.Generator
) -> None:
    """16 mel bands in thirds: 0 to 5, 6 to 10 and 11 to 15; the fourth colour is yellow, (0.5, 0.5, 0)."""
    found = baselines(batch, ThreatModel(), generator)
    assert len(found) == len(COLOURS) == 8
    yellow = found[3]
    assert yellow["video"].flatten().tolist() == [0.5, 0.5, 0.0]
    assert yellow["audio"].flatten().tolist() == [0.5] * 11 + [0.0] * 5
    violet = found[5]  # (1, 0.5, 1)
    assert violet["audio"].flatten().tolist() == [1.0] * 6 + [0.5] * 5 + [1.0] * 5


def test_black_is_silent_and_white_as_loud_as_the_clip(generator: torch.Generator) -> None:
    clips = sounding()
    black, grey, white = (found["audio"] for found in baselines(clips, WAVEFORM, generator, num_baselines=3))
    loudness = clips.audio.flatten(1).square().mean(1).sqrt()
    assert black.count_nonzero() == 0
    assert torch.allclose(white.flatten(1).square().mean(1).sqrt(), loudness, rtol=1e-4)
    assert torch.allclose(grey, 0.5 * white)
    assert white[-1].count_nonzero() == 0


def test_the_bands_of_the_noise_are_equally_loud_and_meet_at_the_edges(generator: torch.Generator) -> None:
    """2,048 samples have 1,025 frequencies: everything of a band is between its edges."""
    clips = sounding()
    bands = band_noise(clips, generator).flatten(2).double()
    power = bands.square().mean(2)[:, 0]
    assert torch.allclose(power, power.mean().expand(3), rtol=1e-4)
    spectrum = torch.fft.rfft(bands[:, 0]).abs()
    frequencies = torch.linspace(0.0, 1.0, 1025)
    borders = (0.0, *BAND_EDGES, 1.0)
    for tones, low, high in zip(spectrum, borders[:-1], borders[1:], strict=True):
        outside = (frequencies < low) | (frequencies > high)
        assert tones[outside].max() < 1e-4 * tones.max()


def test_baselines_stay_inside_the_box(generator: torch.Generator) -> None:
    """A square wave at full scale is as loud as sound can be: noise as loud would reach beyond 1."""
    clips = sounding().with_streams(sounding().video, torch.ones(3, 4, 512))
    white = baselines(clips, WAVEFORM, generator, num_baselines=3)[2]["audio"]
    assert white.abs().max() == 1.0


def test_a_clip_has_the_same_noise_in_any_batch_and_another_for_another_seed(generator: torch.Generator) -> None:
    clips = sounding()
    together = band_noise(clips, generator)
    alone = band_noise(clips.select(torch.tensor([1])), generator)
    assert torch.allclose(together[:, [1]], alone, atol=1e-7)
    other = band_noise(clips, torch.Generator().manual_seed(9))
    assert not torch.allclose(together[:, 1], other[:, 1], atol=1e-2)


def test_a_path_starts_at_the_baseline_and_ends_at_the_clip_bit_for_bit(batch: Batch) -> None:
    baseline = batch.with_streams(1.0 - batch.video, batch.audio / 3.0)
    for share, end in ((0.0, baseline), (1.0, batch)):
        point = between(baseline, batch, share)
        assert torch.equal(point.video, end.video)
        assert torch.equal(point.audio, end.audio)


def test_a_quarter_of_the_path_is_a_quarter_of_the_clip(batch: Batch) -> None:
    baseline = batch.with_streams(torch.full_like(batch.video, 0.8), torch.zeros_like(batch.audio))
    point = between(baseline, batch, 0.25)
    assert torch.allclose(point.video, 0.6 + 0.25 * batch.video)
    assert torch.allclose(point.audio, 0.25 * batch.audio)


def test_what_the_threat_spares_lies_on_no_path(batch: Batch) -> None:
    threat = ThreatModel.model_validate("linf(video=4/255, segments=0+2)")
    values: Streams = {"video": torch.tensor([0.1, 0.2, 0.3]).view(1, 1, 3, 1, 1), "audio": torch.tensor(0.9)}
    replaced = replaced_where_allowed(batch, values, threat)
    assert torch.equal(replaced.audio, batch.audio)
    assert torch.equal(replaced.video[:, [1, 3]], batch.video[:, [1, 3]])
    assert (replaced.video[:, [0, 2], 1] == torch.tensor(0.2)).all()
