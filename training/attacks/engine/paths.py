"""Straight paths between a clip and a baseline without content: plain colours and plain tones."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from training.attacks.engine.gradients import Streams
from training.attacks.engine.randomness import uniform_like
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel

COLOURS = (
    (0.0, 0.0, 0.0),
    (0.5, 0.5, 0.5),
    (1.0, 1.0, 1.0),
    (0.5, 0.5, 0.0),
    (1.0, 1.0, 0.5),
    (1.0, 0.5, 1.0),
    (0.5, 1.0, 1.0),
    (0.0, 0.5, 0.5),
)
"""PAM's colours (arXiv:2303.15735): levels of red, green and blue, here also of the low, middle and high tones."""

BAND_EDGES = (0.115, 0.382)
"""Edges between a waveform's bands over half the sample rate: thirds of the mel scale at 16 kHz (921, 3056 Hz)."""


def baselines(
    clean: Batch, threat: ThreatModel, generator: torch.Generator, *, num_baselines: int = len(COLOURS)
) -> list[Streams]:
    """The first baselines, in the order of `COLOURS`: frames of one colour, and audio of the same levels.

    Log-mel patches have the colour's level in each third of their bands: `[1, 1, mels, 1]`, from silence at 0 to full
    level at 1. Waveforms are noise, one draw per clip, with the clip's own loudness where the colour is white:
    `[batch, segments, samples]`. Frames are `[1, 1, 3, 1, 1]`; everything broadcasts over the clips.
    """
    tones = band_noise(clean, generator) if threat.audio_domain == "waveform" else None
    found: list[Streams] = []
    for colour in COLOURS[:num_baselines]:
        levels = clean.audio.new_tensor(colour)
        if tones is None:
            num_mels = clean.audio.shape[2]
            audio = levels[torch.arange(num_mels, device=levels.device) * len(colour) // num_mels].view(1, 1, -1, 1)
        else:
            audio = torch.einsum("k,kbts->bts", levels, tones).clamp(*threat.box("audio"))
        found.append({"video": clean.video.new_tensor(colour).view(1, 1, 3, 1, 1), "audio": audio})
    return found


def band_noise(clean: Batch, generator: torch.Generator) -> Float[Tensor, "bands batch segments samples"]:
    """White noise of each clip, cut into the low, middle and high band: each a third of the clip's mean power."""
    noise = uniform_like(clean.audio, clean.keys, generator, "baseline sound").flatten(1)
    spectrum = torch.fft.rfft(noise)
    frequencies = torch.linspace(0.0, 1.0, spectrum.shape[1], device=noise.device)
    band_of = torch.bucketize(frequencies, frequencies.new_tensor(BAND_EDGES))
    loudness = clean.audio.flatten(1).square().mean(1, keepdim=True).sqrt()
    bands = []
    for band in range(len(BAND_EDGES) + 1):
        tones = torch.fft.irfft(spectrum * (band_of == band), n=noise.shape[1])
        own = tones.square().mean(1, keepdim=True).sqrt().clamp_min(torch.finfo(tones.dtype).tiny)
        bands.append((tones * loudness / own / math.sqrt(len(BAND_EDGES) + 1)).reshape(clean.audio.shape))
    return torch.stack(bands)


def replaced_where_allowed(batch: Batch, values: Streams, threat: ThreatModel) -> Batch:
    """The clips with `values` wherever the threat allows a change; everything else stays, so no path moves it.

    Values broadcast over the clips.
    """
    streams: Streams = {name: batch.stream(name) for name in MODALITIES}
    for name in threat.modalities:
        stream = streams[name]
        streams[name] = torch.where(threat.support(stream), values[name].to(stream), stream)
    return batch.with_streams(**streams)


def between(baseline: Batch, batch: Batch, share: float) -> Batch:
    """The point baseline + share (batch - baseline) of each clip's path; at 0 and 1 its ends, bit for bit."""
    streams: Streams = {name: torch.lerp(baseline.stream(name), batch.stream(name), share) for name in MODALITIES}
    return batch.with_streams(**streams)
