"""The rules of an attack: which norm, and how far each modality may move. Never part of an attack itself."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor

from preprocessing.schema import Settings
from training.batch import Batch

_THREAT_TEXT = re.compile(r"\s*(linf|l2)\s*\((.*)\)\s*")


def _fraction(value: Any) -> Any:
    """Accept `4/255` beside plain numbers."""
    if isinstance(value, str) and value.count("/") == 1:
        numerator, denominator = value.split("/")
        try:
            return float(numerator) / float(denominator)
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(f"'{value}' is not a number or a fraction such as 4/255") from error
    return value


Fraction = Annotated[float, BeforeValidator(_fraction)]
"""A number; text such as `4/255` is accepted."""

Epsilon = Annotated[Fraction, Field(ge=0)]
"""A budget in raw units ([0, 1] range); text such as `4/255` is accepted."""


class ThreatModel(Settings):
    """One norm, one budget per modality. Epsilon 0 leaves that modality untouched, bit for bit.

    May be written as text: `linf(video=4/255, audio=4/255)`; a modality that is not named has epsilon 0.
    """

    norm: Literal["linf", "l2"] = "linf"
    """`linf`: largest change of any value; `l2`: Euclidean length of the change over a whole clip."""
    video: Epsilon = 4 / 255
    """Budget of the frames, in units of [0, 1] pixels."""
    audio: Epsilon = 4 / 255
    """Budget of the log-mel patches, in units of their [0, 1] range."""

    @model_validator(mode="before")
    @classmethod
    def _parse_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _THREAT_TEXT.fullmatch(value)
        parts = [part.partition("=") for part in match[2].split(",") if part.strip()] if match else []
        names = [name.strip() for name, _, _ in parts]
        if not match or not set(names) <= {"video", "audio"} or len(set(names)) < len(names):
            raise ValueError(f"'{value}' is not a threat model such as 'linf(video=4/255, audio=4/255)'")
        budgets = {name: budget.strip() for name, (_, _, budget) in zip(names, parts, strict=True)}
        return {"norm": match[1], "video": 0.0, "audio": 0.0} | budgets

    def __str__(self) -> str:
        return f"{self.norm}(video={_text(self.video)}, audio={_text(self.audio)})"

    def scaled(self, factor: float) -> ThreatModel:
        """Both budgets times `factor`."""
        return ThreatModel(norm=self.norm, video=self.video * factor, audio=self.audio * factor)

    def only(self, modality: Literal["video", "audio"]) -> ThreatModel:
        """The same budget for one modality, none for the other."""
        budgets = {"video": 0.0, "audio": 0.0, modality: getattr(self, modality)}
        return ThreatModel(norm=self.norm, **budgets)

    def project(self, perturbed: Batch, *, around: Batch) -> Batch:
        """The nearest clips inside the ball around the clean ones and inside [0, 1]."""
        return perturbed.with_streams(
            self._project(perturbed.video, around.video, self.video),
            self._project(perturbed.audio, around.audio, self.audio),
        )

    def distances(self, perturbed: Batch, clean: Batch) -> dict[str, Float[Tensor, " batch"]]:
        """Size of each clip's perturbation in this norm, per modality."""
        return {
            "video": self.length(perturbed.video - clean.video),
            "audio": self.length(perturbed.audio - clean.audio),
        }

    def length(self, delta: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """Size of each clip's change in this norm."""
        flat = delta.flatten(1)
        return flat.abs().amax(1) if self.norm == "linf" else flat.norm(dim=1)

    def _project(self, perturbed: Tensor, clean: Tensor, epsilon: float) -> Tensor:
        if epsilon == 0:
            return clean
        if self.norm == "linf":
            return perturbed.clamp(clean - epsilon, clean + epsilon).clamp(0.0, 1.0)
        delta = perturbed - clean
        shrink = (epsilon / self.length(delta).clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1.0)
        return (clean + delta * per_clip(shrink, delta)).clamp(0.0, 1.0)


def per_clip(values: Float[Tensor, " batch"], like: Float[Tensor, "batch *shape"]) -> Tensor:
    """Shape one value per clip so that it broadcasts over the clip."""
    return values.reshape(-1, *([1] * (like.dim() - 1)))


def _text(epsilon: float) -> str:
    """Quarters of a grey level up to 64/255 are written as fractions, everything else as a decimal number."""
    quarters = epsilon * 255 * 4
    is_level = 1 <= round(quarters) <= 256 and abs(quarters - round(quarters)) < 1e-6
    return f"{round(quarters) / 4:g}/255" if is_level else f"{epsilon:.6g}"
