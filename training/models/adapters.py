"""Models of other makers as ours: what goes in is turned into what they expect, what comes out into `Outputs`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from preprocessing.logmel import LogMel
from preprocessing.schema import ClipFormat
from training.models.classifier import Outputs


class Adapter(nn.Module):
    """A model of any kind as one that attacks and evaluation can call; a subclass overrides how it is called.

        class Theirs(Adapter):
            def call(self, video, audio):
                return self.model(audio.mean(1), video.transpose(1, 2))

    As it is, it serves a model that takes frames and audio in this order and returns plain logits.

    The model is a child module, so its modes, buffers and gradients are guarded like those of our own. Use operations
    that pass gradients on: an attack follows them back to `video` and `audio`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def call(self, video: Tensor, audio: Tensor) -> Tensor | Outputs:
        """Run `self.model`.

        Args:
            video: frames `[batch, segments, 3, height, width]` in [0, 1].
            audio: log-mel patches `[batch, segments, mels, steps]` in [0, 1], or waveforms `[batch, segments, samples]`
                in [-1, 1], whichever the threat model is about.

        Returns:
            Logits `[batch, classes]` (not probabilities), or `Outputs`. TIA, MMA and TMA need its features; every other
            attack and the evaluation do with logits alone.
        """
        found: Tensor | Outputs = self.model(video, audio)
        return found

    def forward(self, video: Float[Tensor, "items *frames"], audio: Float[Tensor, "items *patches"]) -> Outputs:
        """Classify clips.

        Raises:
            ValueError: if `call` returned something else.
        """
        return _outputs(self.call(video, audio), of=f"{type(self).__name__}.call", num_items=len(video))


def _outputs(found: object, *, of: str, num_items: int) -> Outputs:
    """The outputs of a model, with their logits checked."""
    logits = found.logits if isinstance(found, Outputs) else found
    if not (isinstance(logits, Tensor) and logits.dim() == 2 and len(logits) == num_items):
        got = f"a tensor of shape {list(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(found).__name__}"
        raise ValueError(
            f"{of} returned {got}; allowed: logits of shape [{num_items}, classes], or Outputs with such logits"
        )
    return found if isinstance(found, Outputs) else Outputs(logits)


class LogMelFrontEnd(Adapter):
    """Waveform segments -> the log-mel patches of preprocessing -> a model of frames and patches.

    So a log-mel model is attacked in the waveform: gradients pass through `preprocessing.logmel.LogMel`. Move it to
    double precision (`.double()`) for clips in double precision.
    """

    def __init__(self, model: nn.Module, clip_format: ClipFormat) -> None:
        super().__init__(model)
        self.front_end = LogMel(clip_format)
        self._num_samples = clip_format.segment_samples

    def call(self, video: Tensor, audio: Tensor) -> Tensor | Outputs:
        """Make patches of the waveforms.

        Raises:
            ValueError: if they are not waveforms of the format's length.
        """
        if audio.dim() != 3 or audio.shape[2] != self._num_samples:
            raise ValueError(
                f"audio has shape {list(audio.shape)}; allowed: waveforms [batch, segments, {self._num_samples}]"
            )
        return super().call(video, self.front_end(audio))


class PerSegment(Adapter):
    """A model of one frame and its audio, run on every segment, its logits averaged over the clip."""

    def call(self, video: Tensor, audio: Tensor) -> Tensor:
        """Run the model on `[batch * segments, 3, height, width]` and `[batch * segments, mels, steps]`."""
        frames, patches = video.flatten(0, 1), audio.flatten(0, 1)
        found = _outputs(self.model(frames, patches), of=type(self.model).__name__, num_items=len(frames))
        return found.logits.reshape(*video.shape[:2], -1).mean(1)


class Normalised(Adapter):
    """A model that wants frames and audio shifted and scaled, (x - mean) / std: that happens here, behind the attack.

    Budgets then stay in units of pixels and patches, whatever the model was trained with.
    """

    video_mean: Tensor
    video_std: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        video_mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        video_std: tuple[float, float, float] = (1.0, 1.0, 1.0),
        audio_mean: float = 0.0,
        audio_std: float = 1.0,
    ) -> None:
        super().__init__(model)
        if min(*video_std, audio_std) <= 0:
            raise ValueError(f"got video_std={video_std} and audio_std={audio_std}; allowed: greater than 0")
        self.register_buffer("video_mean", torch.tensor(video_mean).view(3, 1, 1), persistent=False)
        self.register_buffer("video_std", torch.tensor(video_std).view(3, 1, 1), persistent=False)
        self.audio_mean = audio_mean
        self.audio_std = audio_std

    def call(self, video: Tensor, audio: Tensor) -> Tensor | Outputs:
        """Run the model on normalised streams."""
        return super().call((video - self.video_mean) / self.video_std, (audio - self.audio_mean) / self.audio_std)
