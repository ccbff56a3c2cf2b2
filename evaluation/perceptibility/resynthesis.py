"""A sound for log-mel patches: an approximation to listen to, since patches have lost their phases."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchaudio.transforms import GriffinLim, InverseMelScale

from preprocessing.schema import LOGMEL_MAX_DB, LOGMEL_MIN_DB, ClipFormat

ITERATIONS = 64


def resynthesised(patches: Float[Tensor, "segments mels steps"], clip_format: ClipFormat) -> Float[Tensor, " samples"]:
    """A waveform in [-1, 1] whose log-mel patches are near the given ones, in [0, 1].

    The decibels are undone, mel bands become frequencies by least squares (`InverseMelScale`), and phases are sought by
    the algorithm of Griffin and Lim 1984 in the fast version of Perraudin et al. 2013 (`GriffinLim`), from phase 0 on,
    so that the same patches give the same sound. The segments' patches are taken for one long spectrogram.
    """
    decibels = patches.double() * (LOGMEL_MAX_DB - LOGMEL_MIN_DB) + LOGMEL_MIN_DB
    mel = (10.0 ** (decibels / 10.0) - 10.0 ** (LOGMEL_MIN_DB / 10.0)).clamp_min(0.0)
    to_frequencies = InverseMelScale(
        n_stft=clip_format.n_fft // 2 + 1,
        n_mels=clip_format.num_mels,
        sample_rate=clip_format.sample_rate_hz,
        f_max=clip_format.sample_rate_hz / 2,
        driver="gelsd",  # the one that allows mel bands without any frequency of their own
    )
    to_waveform = GriffinLim(
        n_fft=clip_format.n_fft, n_iter=ITERATIONS, hop_length=clip_format.hop_length, rand_init=False
    )
    power = to_frequencies.double()(torch.cat(list(mel), dim=1))
    waveform = to_waveform.double()(power)
    num_samples = clip_format.num_segments * clip_format.segment_samples
    begin = clip_format.hop_length // 2  # patches are centred on the middles of hops, the transform on their beginnings
    padded = torch.nn.functional.pad(waveform, (begin, max(0, num_samples - begin - len(waveform))))
    return padded[:num_samples].clamp(-1.0, 1.0).float()
