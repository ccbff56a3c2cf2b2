"""The one log-mel front end: preprocessing stores its output, waveform attacks differentiate through it."""

from __future__ import annotations

import torch
import torchaudio
from jaxtyping import Float
from torch import Tensor, nn

from preprocessing.schema import LOGMEL_MAX_DB, LOGMEL_MIN_DB, ClipFormat


class LogMel(nn.Module):
    """Log-mel patches in [0, 1] from waveform segments in [-1, 1], with a finite gradient everywhere.

    Each patch is computed from the samples of its own segment only: the segment is reflected at both ends so that step
    j is centred on hop j. Power is turned into decibels with a floor added inside the logarithm, 10 log10(mel + 1e-6),
    so that the gradient stays finite down to silence, and `[LOGMEL_MIN_DB, LOGMEL_MAX_DB]` becomes [0, 1]. At exact
    silence it is zero, because power is an even function; one step of 16 bits away it is not.

    Its tables follow from the clip format, so a model that holds it stores nothing of it.
    """

    def __init__(self, clip_format: ClipFormat) -> None:
        super().__init__()
        self.steps = clip_format.steps
        self.n_fft = clip_format.n_fft
        self.hop_length = clip_format.hop_length
        self.padding = (clip_format.n_fft - clip_format.hop_length) // 2
        self.window: Tensor
        window = torch.hann_window(clip_format.n_fft).clone()  # a part of one that is longer, which exports refuse
        self.register_buffer("window", window, persistent=False)
        self.filters: Tensor
        with torch.device("cpu"):  # torchaudio looks at the numbers, which a model built without any does not have
            filters = torchaudio.functional.melscale_fbanks(
                n_freqs=clip_format.n_fft // 2 + 1,
                f_min=0.0,
                f_max=clip_format.sample_rate_hz / 2,
                n_mels=clip_format.num_mels,
                sample_rate=clip_format.sample_rate_hz,
            )
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch mels steps"]:
        """Turn segments of `segment_samples` samples into patches."""
        flat = waveform.reshape(-1, 1, waveform.shape[-1])
        padded = nn.functional.pad(flat, (self.padding, self.padding), mode="reflect")[:, 0]
        spectrum = torch.stft(
            padded, self.n_fft, self.hop_length, window=self.window, center=False, return_complex=True
        )
        # Not `spectrum.abs().square()`: its square root costs as much as the transform itself, and has no use here.
        power = spectrum.real.square() + spectrum.imag.square()
        mel = (power.transpose(-1, -2) @ self.filters).transpose(-1, -2)[..., : self.steps]
        decibels = 10.0 * torch.log10(mel + 10.0 ** (LOGMEL_MIN_DB / 10.0))
        scaled = (decibels - LOGMEL_MIN_DB) / (LOGMEL_MAX_DB - LOGMEL_MIN_DB)
        return scaled.clamp(0.0, 1.0).reshape(*waveform.shape[:-1], *mel.shape[-2:])
