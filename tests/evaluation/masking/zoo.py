"""Models that look robust because their gradients mislead, and honest ones that resemble them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models import Classifier, Outputs

Change = Callable[[Tensor], Tensor]
LEVEL = 1 / 255


class Wrapped(nn.Module):
    """A trained classifier with something done to its frames, its sound or its logits."""

    def __init__(
        self,
        model: nn.Module,
        *,
        video: Change | None = None,
        audio: Change | None = None,
        logits: Change | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.video = video
        self.audio = audio
        self.logits = logits

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        seen = self.video(video) if self.video else video
        heard = self.audio(audio) if self.audio else audio
        outputs: Outputs = self.model(seen, heard)
        return replace(outputs, logits=self.logits(outputs.logits)) if self.logits else outputs


class _PassedThrough(torch.autograd.Function):
    """Any change, with the gradient of none."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, change: Change) -> Tensor:
        return change(values)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        return slopes[0], None


class _RandomSigns(torch.autograd.Function):
    """No change, with a gradient whose signs are drawn."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        signs = torch.rand(slopes[0].shape, generator=torch.Generator().manual_seed(7)) < 0.5
        return torch.where(signs, slopes[0], -slopes[0])


def rippled(frequency: float, height: float = 0.3 * LEVEL) -> Change:
    """A ripple too low to see, whose slope is 2 pi 255 x height x frequency (Athalye et al. 2018: shattered)."""
    return lambda values: values + height * torch.sin(2 * math.pi * 255 * frequency * values)


def rippled_off_the_grid(values: Tensor) -> Tensor:
    """A ripple that has no slope at stored grey levels: the gradient is right at the clean clip alone."""
    return values + 0.5 * LEVEL * torch.sin(math.pi * 255 * 13 * values).square()


def quantised(values: Tensor) -> Tensor:
    """16 levels: no gradient passes the rounding."""
    return (values * 15).round() / 15


def rolled(values: Tensor) -> Tensor:
    """Everything moved by five places."""
    return values.roll(5, -1)


def passed_through(change: Change) -> Change:
    """The change with the gradient of the identity (Athalye et al. 2018, Section 4.1, as a defence)."""
    return lambda values: _PassedThrough.apply(values, change)


def noise_by_input(values: Tensor) -> Tensor:
    """Noise of 16 levels that every value decides for itself: the same input, the same noise."""
    draws = (values.detach() * 12345.678).sin() * 43758.5453
    return values + 16 * LEVEL * (2 * (draws - draws.floor()) - 1)


def staircase(values: Tensor) -> Tensor:
    """Steps out of ReLU units, nearly all of which are dead or saturated: 16 levels, slope 0 between them."""
    edges = (torch.arange(15) + 0.5) / 15
    steep = 1e6 * (values[..., None] - edges)
    return (torch.relu(steep) - torch.relu(steep - 1)).mean(-1)


def among_others(logits: Tensor) -> Tensor:
    """Scores with the batch's mean taken off."""
    return logits - 0.5 * logits.mean(0)


def not_a_number_when_odd(values: Tensor) -> Tensor:
    """Clips whose parity is odd are not computed."""
    is_odd = (values.flatten(1).sum(1) * 1e3).floor() % 2 == 1
    return torch.where(is_odd.reshape(-1, *[1] * (values.dim() - 1)), torch.nan, values)


def rippled_near_the_boundary(logits: Tensor) -> Tensor:
    """Scores in the same order, whose slopes are wrong where the best two are close: where attacks arrive."""
    best_two = logits.topk(2, dim=1).values
    lead = (best_two[:, 0] - best_two[:, 1])[:, None]
    return logits * (1 + 0.45 * torch.exp(-lead.square()) * torch.sin(2000 * lead))


def with_lead(logits: Tensor, change: Change) -> Tensor:
    """Scores whose best is ahead of the second best by another number."""
    best, second = logits.topk(2, dim=1).values.unbind(1)
    is_best = functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)
    return logits + is_best * (change(best - second) - (best - second))[:, None]


def flat_below(width: float) -> Change:
    """Scores whose lead is never smaller: flat along the boundary alone, with a jump on it."""
    return lambda logits: with_lead(logits, lambda lead: lead.clamp_min(width))


def nearly_flat_below(width: float) -> Change:
    """The same by a factor of all scores: what is left of the slope is rounding."""

    def change(logits: Tensor) -> Tensor:
        best, second = logits.topk(2, dim=1).values.unbind(1)
        lead = (best - second)[:, None]
        return torch.where(lead < width, logits * (width / lead.clamp_min(1e-6)), logits)

    return change


def stepped_below(width: float, height: float) -> Change:
    """Scores whose lead goes in steps where it is small."""
    return lambda logits: with_lead(
        logits, lambda lead: torch.where(lead < width, (lead / height).ceil() * height, lead)
    )


def random_signs(values: Tensor) -> Tensor:
    """The values, with a gradient of random signs."""
    found: Tensor = _RandomSigns.apply(values)
    return found


def both(change: Change) -> dict[str, Change]:
    """The change in both modalities."""
    return {"video": change, "audio": change}


MASKED: Mapping[str, tuple[dict[str, Change], str]] = {
    "shattered at 137 ripples a level": (both(rippled(137.0361)), "video_loss_rises_along_gradient"),
    "shattered at 14 ripples a level": (both(rippled(13.7)), "audio_loss_rises_along_gradient"),
    "shattered at 2 ripples a level": (both(rippled(2.0)), "video_loss_rises_along_gradient"),
    "a high ripple of 10 levels": (both(rippled(0.1, 3 * LEVEL)), "video_smoothing_finds_no_more"),
    "shattered off the grid of stored levels": (both(rippled_off_the_grid), "video_loss_rises_along_gradient"),
    "shattered sound alone": ({"audio": rippled(137.0361)}, "audio_loss_rises_along_gradient"),
    "quantised input": (both(quantised), "video_gradients_are_usable"),
    "quantised input passed through": (both(passed_through(quantised)), "video_loss_rises_along_gradient"),
    "rolled input passed through": (both(passed_through(rolled)), "video_loss_rises_along_gradient"),
    "noise decided by the input": (both(noise_by_input), "video_loss_rises_along_gradient"),
    "random signs of the gradient": (both(random_signs), "audio_loss_rises_along_gradient"),
    "random logits": ({"logits": lambda logits: logits + 0.1 * torch.randn_like(logits)}, "forward_is_deterministic"),
    "random input": (both(lambda values: values + 0.1 * torch.randn_like(values)), "forward_is_deterministic"),
    "saturated scores": ({"logits": lambda logits: torch.tanh(1000 * logits)}, "video_gradients_are_usable"),
    "rounded scores": ({"logits": lambda logits: logits.round(decimals=2)}, "audio_gradients_are_usable"),
    "gradient of the other sign": ({"logits": lambda z: 2 * z.detach() - z}, "video_loss_rises_along_gradient"),
    "shattered near the boundary alone": (
        {"logits": rippled_near_the_boundary},
        "video_loss_rises_along_gradient",
    ),
    "flat near the boundary alone": ({"logits": flat_below(2.0)}, "video_gradients_last_on_the_way"),
    "flat but for rounding near the boundary alone": (
        {"logits": nearly_flat_below(2.0)},
        "audio_gradients_last_on_the_way",
    ),
    "wide steps near the boundary alone": ({"logits": stepped_below(1.0, 0.125)}, "audio_gradients_last_on_the_way"),
    "narrow steps near the boundary alone": (
        {"logits": stepped_below(2.0, 1 / 32)},
        "video_loss_rises_along_gradient",
    ),
    "verdict by batch": ({"logits": among_others}, "companions_change_nothing"),
    "not a number on odd clips": ({"video": not_a_number_when_odd}, "forward_is_deterministic"),
    "a score that is not a number": (
        {"logits": lambda logits: logits * torch.tensor([float("nan"), 1.0, 1.0, 1.0])},
        "video_gradients_are_usable",
    ),
    "dead units": (both(staircase), "audio_gradients_are_usable"),
    "detached input": (both(lambda values: values.detach()), "video_gradients_are_usable"),
}
"""What is done to an honest model, and a check that must fire among those that do."""

HONEST: Mapping[str, dict[str, Change]] = {
    "plain": {},
    "logits times 10,000": {"logits": lambda logits: 10_000 * logits},
    "logits over 10,000": {"logits": lambda logits: logits / 10_000},
    "shifted logits": {"logits": lambda logits: logits + 100.0},
    "deaf": {"audio": lambda values: 0.0 * values},
    "hard of hearing": {"audio": lambda values: 0.5 + 1e-3 * (values - 0.5)},
    "ripples too low to matter": both(rippled(0.5, 0.05 * LEVEL)),
}
"""What is done to an honest model that leaves it honest."""


def masked(name: str, model: Classifier) -> nn.Module:
    """A member of the zoo."""
    return Wrapped(model, **MASKED[name][0]).eval()


def honest(name: str, model: Classifier) -> nn.Module:
    """A model that does not mislead."""
    return Wrapped(model, **HONEST[name]).eval()


class Normalised(nn.Module):
    """A classifier behind batch normalisation of the values of frames and sound."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.frames = nn.BatchNorm3d(3)
        self.sound = nn.BatchNorm1d(1)

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        seen = self.frames(video.transpose(1, 2)).transpose(1, 2)
        heard = self.sound(audio.flatten(1)[:, None]).reshape(audio.shape)
        outputs: Outputs = self.model(0.5 + 0.2 * seen, 0.5 + 0.2 * heard)
        return outputs
