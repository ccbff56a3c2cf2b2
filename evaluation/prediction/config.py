"""Settings of `predict`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from evaluation.attack_lists import NamedAttack
from preprocessing.config import AcceptanceRules, DecodeLimits
from preprocessing.settings import Settings
from preprocessing.storage.places import Place
from training.attacks import PGD
from training.threat import ThreatModel

ENDINGS = (".csv", ".json")
"""Endings of tables that predictions can be written to."""


class VideoRules(AcceptanceRules):
    """Rules by which the windows of a video are accepted: those of preprocessing, for longer videos."""

    max_source_seconds: PositiveFloat = 6 * 3600.0
    """Longest video. Beyond it: `too_long`."""


class PredictConfig(Settings):
    """Videos -> classes with probabilities, by a checkpoint and in its own clip format."""

    output: Place | None = None
    """File or URL that receives all predictions, `.csv` or `.json`; unset = they are only printed."""
    by_time: bool = False
    """Also tell the windows one by one, each with its time."""
    top: PositiveInt = 3
    """Classes that are printed for each video, the most probable ones first; files have all."""
    hop_seconds: PositiveFloat | None = None
    """Time from the start of one window to that of the next. Windows are as long as the checkpoint's clips, the last
    one ends with the video, and their probabilities are averaged. Unset = a window's length: they touch."""
    robustness: bool = False
    """Also search, window by window, for the smallest budget with which `attack` changes the class. It is an upper
    bound of what is really needed: a better attack may need less."""
    threat: ThreatModel = ThreatModel()
    """The rules of that attack; its budgets are the unit that the search scales."""
    largest_factor: PositiveFloat = 4.0
    """The search goes up to this factor of `threat`: up to 16/255 for 4/255."""
    rounds: Annotated[int, Field(ge=1, le=20)] = 6
    """Bisections of the search: it finds the budget to `largest_factor` / 2^rounds, a quarter of a grey level."""
    attack: NamedAttack = PGD(steps=20)
    """The attack that is tried at each budget; `worst_case` tries several, TMA among them."""
    rules: VideoRules = VideoRules()
    """Rules by which windows are accepted. A video shorter than a clip is refused unless `missing_tail=pad`."""
    limits: DecodeLimits = DecodeLimits()
    """Most that decoding a window may cost."""
    batch_size: PositiveInt = 16
    """Windows per forward pass. It sets the memory that is needed, and changes no result."""
    decoders: PositiveInt | None = None
    """Videos decoded at once, each in a process of its own, while others are classified; unset = one per core. It sets
    the time and memory that are needed, and changes no result."""
    gpu: bool | None = None
    """Work on a GPU, or not; unset = if there is one."""
    seed: int = 0
    """Seed of the attack's random starts, with each window's video and time."""

    @field_validator("output")
    @classmethod
    def _is_a_table(cls, output: str | None) -> str | None:
        if output is not None and not output.lower().endswith(ENDINGS):
            raise ValueError(f"got '{output}'; allowed: a file that ends in {' or '.join(ENDINGS)}")
        return output

    @model_validator(mode="after")
    def _something_is_attacked(self) -> PredictConfig:
        if not self.threat.modalities:
            raise ValueError("threat: both epsilons are 0, so there is nothing to search; raise one of them")
        self.threat.require_known_moments("threat")
        return self
