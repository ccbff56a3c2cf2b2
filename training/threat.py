"""The threat model: norm, budgets, segments and moments that an attack may use and know; never part of the attack."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import BeforeValidator, Field, NonNegativeInt, model_validator
from torch import Tensor

from preprocessing.errors import DataError, SettingsError
from preprocessing.settings import GrownSettings
from training.batch import MODALITIES, Batch, Modality
from training.norms import NORMS, Norm, NormName

_THREAT_TEXT = re.compile(r"\s*(\w+)\s*\((.*)\)\s*")
_SEGMENTS_TEXT = re.compile(r"\s*\d+(-\d+)?(\+\d+(-\d+)?)*\s*")


def _fraction(value: Any) -> Any:
    """Accept `4/255` beside plain numbers."""
    if isinstance(value, str) and value.count("/") == 1:
        numerator, denominator = value.split("/")
        try:
            return float(numerator) / float(denominator)
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(f"'{value}' is not a number or a fraction such as 4/255") from error
    return value


def _segments(value: Any) -> Any:
    """Accept `0-3+7` beside a list of numbers."""
    if not isinstance(value, str):
        return value
    if not _SEGMENTS_TEXT.fullmatch(value):
        raise ValueError(f"'{value}' does not name segments; write numbers and ranges such as 0-3+7")
    ranges = [part.partition("-") for part in value.split("+")]
    for first, dash, last in ranges:
        if dash and int(last) < int(first):
            raise ValueError(f"'{first}-{last}' runs backwards; write {int(last)}-{int(first)}")
    return [number for first, dash, last in ranges for number in range(int(first), int(last if dash else first) + 1)]


Fraction = Annotated[float, BeforeValidator(_fraction)]
"""A number; text such as `4/255` is accepted."""

Epsilon = Annotated[Fraction, Field(ge=0)]
"""A budget in raw units; text such as `4/255` is accepted."""

Segments = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]

AudioDomain = Literal["logmel", "waveform"]

WhichMoments = Literal["known", "other"]


class ThreatModel(GrownSettings):
    """One norm, one budget per modality, and the segments that may be touched. Epsilon 0 = untouched, bit for bit.

    May be written as text: `linf(video=4/255, audio=4/255)`; a modality that is not named has epsilon 0.
    `waveform=0.002` in place of `audio=` is a budget of the waveform; `segments=0-3+7` spares all other segments;
    `moments=other` hides from the attacker when the model samples a video.
    """

    LATER: ClassVar[frozenset[str]] = frozenset({"moments"})
    norm: NormName = "linf"
    """`linf`: largest change of any value; `l2`: Euclidean length of the change over a whole clip."""
    video: Epsilon = 4 / 255
    """Budget of the frames, in units of [0, 1] pixels."""
    audio: Epsilon = 4 / 255
    """Budget of the audio: in units of the log-mel patches' [0, 1] range, or of the waveform's [-1, 1] range."""
    audio_domain: AudioDomain = "logmel"
    """The form of the audio that is perturbed: the stored log-mel patches, or the waveform in front of them."""
    segments: Annotated[Segments | None, BeforeValidator(_segments)] = None
    """Segments that may be touched, counted from 0, such as `[0, 1]` or `0-3+7`; unset = all."""
    moments: WhichMoments = "known"
    """Knowledge of the moments at which the model samples a video. `known`: the attacker sees the very frames and sound
    that the model reads. `other`: an attack is made at the moments of one stored data set, and judged at those of
    another: what it changes lasts through its own segments, and the model meets it where it looks. Segments are counted
    at the moments that the attack is made at; budgets hold at both."""

    @model_validator(mode="before")
    @classmethod
    def _parse_text(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            steps = f"{value:g}/255" if value >= 1 else f"{value:g}"
            raise ValueError(f"{value} says no norm and no modality; write 'linf(video={steps}, audio={steps})'")
        if not isinstance(value, str):
            return value
        match = _THREAT_TEXT.fullmatch(value)
        parts = [part.partition("=") for part in match[2].split(",") if part.strip()] if match else []
        given = {name.strip(): text.strip() for name, _, text in parts}
        is_known = set(given) <= {"video", "audio", "waveform", "segments", "moments"} and not {
            "audio",
            "waveform",
        } <= set(given)
        if not match or match[1] not in NORMS or not is_known or len(given) < len(parts):
            raise ValueError(
                f"'{value}' is not a threat model such as 'linf(video=4/255, audio=4/255)' or "
                f"'l2(video=0.5, waveform=0.1, segments=0-3)'"
            )
        if "waveform" in given:
            given |= {"audio": given.pop("waveform"), "audio_domain": "waveform"}
        return {"norm": match[1], "video": 0.0, "audio": 0.0} | given

    @model_validator(mode="after")
    def _segments_rise(self) -> ThreatModel:
        if self.segments is not None and list(self.segments) != sorted(set(self.segments)):
            raise ValueError(f"segments: numbers must rise without repetition, got {list(self.segments)}")
        return self

    @model_validator(mode="after")
    def _budgets_fit_into_the_box(self) -> ThreatModel:
        for name in MODALITIES:
            low, high = self.box(name)
            if self.geometry.is_per_value and self.epsilon(name) > high - low:
                raise ValueError(
                    f"{name}={self.epsilon(name):g} is wider than all values that there are, [{low:g}, {high:g}]; "
                    f"{self.epsilon(name):g} steps of 8 bit are written {self.epsilon(name):g}/255"
                )
        return self

    def __str__(self) -> str:
        is_waveform = self.audio_domain == "waveform"
        audio = f"waveform={self.audio:.6g}" if is_waveform else f"audio={_text(self.audio)}"
        support = "" if self.segments is None else f", segments={segments_text(self.segments)}"
        moments = "" if self.moments == "known" else f", moments={self.moments}"
        return f"{self.norm}(video={_text(self.video)}, {audio}{support}{moments})"

    @property
    def geometry(self) -> Norm:
        """The norm itself: lengths, projections and steepest steps."""
        return NORMS[self.norm]

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that have a budget."""
        return tuple(name for name in MODALITIES if self.epsilon(name) > 0)

    def epsilon(self, modality: Modality) -> float:
        """The budget of a modality."""
        return self.video if modality == "video" else self.audio

    def box(self, modality: Modality) -> tuple[float, float]:
        """Smallest and largest value that a modality can have."""
        return (-1.0, 1.0) if modality == "audio" and self.audio_domain == "waveform" else (0.0, 1.0)

    def scaled(self, factor: float) -> ThreatModel:
        """Both budgets times `factor`; as wide as the box at most, where more would mean the same."""
        widest = {name: high - low for name in MODALITIES for low, high in [self.box(name)]}
        cap = widest if self.geometry.is_per_value else dict.fromkeys(widest, math.inf)
        return self._changed(**{name: min(self.epsilon(name) * factor, cap[name]) for name in MODALITIES})

    def only(self, modality: Modality) -> ThreatModel:
        """The same budget for one modality, none for the other."""
        return self._changed(**{name: 0.0 for name in MODALITIES if name != modality})

    def contains(self, other: ThreatModel) -> bool:
        """True if every clip that `other` allows is allowed here too: the same norm, form of audio and knowledge of
        moments, and no larger budget or further segment there. (A modality that `other` leaves alone has no form.)"""
        if self.moments != other.moments:
            return False  # even without a budget: the untouched clips are others
        if self.norm != other.norm or (other.audio > 0 and self.audio_domain != other.audio_domain):
            return False
        if self.segments is not None and (other.segments is None or not set(other.segments) <= set(self.segments)):
            return not other.modalities
        return other.video <= self.video and other.audio <= self.audio

    def require_known_moments(self, where: str) -> None:
        """Refuse moments that the attacker does not know, where clips are read at one set of moments alone.

        Raises:
            ValueError: naming the setting `where` it stands.
        """
        if self.moments != "known":
            raise ValueError(
                f"{where}={self} hides the moments from the attacker, but here clips are read at one set of moments "
                "alone; leave moments=other out (evaluate, transfer and the Python call attack() measure under it)"
            )

    def where_judged(self) -> ThreatModel:
        """The rules as the clips that an attack is judged on can be held to them: at other moments than those of the
        attack there are other segments than the threat counts."""
        return self if self.moments == "known" else self.anywhere()

    def anywhere(self) -> ThreatModel:
        """The same budgets for every segment."""
        return self._changed(segments=None)

    def _changed(self, **changes: Any) -> ThreatModel:
        return ThreatModel.model_validate(self.model_dump() | changes)

    def check(self, batch: Batch) -> None:
        """Refuse clips to which these rules cannot apply.

        Raises:
            SettingsError: if the audio is in the other domain, or a segment does not exist.
            DataError: if a value is outside its box, or is not finite, also in a modality that is not touched.
        """
        dimensions = 3 if self.audio_domain == "waveform" else 4
        if batch.audio.dim() != dimensions:
            wanted = "[batch, segments, samples]" if dimensions == 3 else "[batch, segments, mels, steps]"
            raise SettingsError(
                f"audio has shape {list(batch.audio.shape)}; {self} is about the {self.audio_domain}, shape {wanted}"
            )
        if self.segments and self.segments[-1] >= batch.num_segments:
            raise SettingsError(
                f"{self} names segment {self.segments[-1]}, but clips have {batch.num_segments} segments (from 0)"
            )
        for name in MODALITIES:
            is_finite = batch.stream(name).isfinite().flatten(1).all(1)
            if not bool(is_finite.all()):
                lost = int((~is_finite).nonzero()[0])
                raise DataError(f"{name} of clip '{batch.keys[lost]}' is not finite: mend the data")
        for name in self.modalities:
            (low, high), stream = self.box(name), batch.stream(name)
            smallest, largest = (float(value) for value in stream.aminmax())
            if not (low <= smallest and largest <= high):
                raise DataError(
                    f"{name} lies in [{smallest:g}, {largest:g}]; allowed: [{low:g}, {high:g}]. Normalise inside the "
                    "model, not before it"
                )

    def project(self, perturbed: Batch, *, around: Batch) -> Batch:
        """The nearest clips inside the ball around the clean ones and inside the box, untouched outside the support.

        (For `l2` at the box's border: first onto the ball, then onto the box, which leaves neither.)
        """
        return perturbed.with_streams(**{name: self.project_stream(name, perturbed, around) for name in MODALITIES})

    def project_stream(self, modality: Modality, perturbed: Batch, around: Batch) -> Tensor:
        """One modality of `project`."""
        moved, clean, epsilon = perturbed.stream(modality), around.stream(modality), self.epsilon(modality)
        if epsilon == 0:
            return clean
        if self.segments is not None:
            moved = torch.where(self.support(clean), moved, clean)
        return self.geometry.project(moved, clean, epsilon).clamp(*self.box(modality))

    def into_ball(self, modality: Modality, delta: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """The nearest change of a modality that is within its budget."""
        return self.geometry.into_ball(delta, self.epsilon(modality))

    def support(self, stream: Float[Tensor, "batch segments *shape"]) -> Bool[Tensor, "1 segments *ones"]:
        """True where `stream` may be changed: one value per segment, shaped to broadcast over it."""
        allowed = torch.zeros(stream.shape[1], dtype=torch.bool, device=stream.device)
        allowed[list(self.segments) if self.segments is not None else slice(None)] = True
        return allowed.reshape(1, -1, *([1] * (stream.dim() - 2)))

    def distances(self, perturbed: Batch, clean: Batch) -> dict[Modality, Float[Tensor, " batch"]]:
        """Size of each clip's perturbation in this norm, per modality."""
        return {name: self.length(perturbed.stream(name) - clean.stream(name)) for name in MODALITIES}

    def length(self, delta: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
        """Size of each clip's change in this norm."""
        return self.geometry.length(delta)


def _text(epsilon: float) -> str:
    """Quarters of a grey level up to 64/255 are written as fractions, everything else as a decimal number."""
    quarters = epsilon * 255 * 4
    is_level = 1 <= round(quarters) <= 256 and abs(quarters - round(quarters)) < 1e-6
    return f"{round(quarters) / 4:g}/255" if is_level else f"{epsilon:.6g}"


def segments_text(numbers: Sequence[int]) -> str:
    """Rising numbers as text: 0, 1, 2, 7 are `0-2+7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return "+".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
