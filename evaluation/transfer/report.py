"""transfer.json: what was found. Every number is a function of the outcomes and the config."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from evaluation.intervals import CONFIDENCE, Interval
from evaluation.reporting.report import percent
from evaluation.stored.report_files import read_report, write_report
from evaluation.transfer.config import TransferConfig
from evaluation.transfer.surrogates import Surrogate, SurrogateKind
from preprocessing.settings import Settings
from preprocessing.storage.provenance import Provenance

TRANSFER_NAME = "transfer.json"
FORMAT_VERSION: Literal[1] = 1

Group = SurrogateKind | Literal["white_box"]
"""Cells that a mean is over: victims that a kind of surrogate does not contain, or those that it does contain."""


class ModelFacts(Settings):
    """One model."""

    name: str
    place: str
    """Folder of its checkpoint, or the factory that makes it."""
    sha256: str
    """Names its weights."""
    objective: str | None
    """Name of the objective that it was trained by; None = nobody has recorded it."""
    trained_with: Provenance | None
    """The code, libraries and machine that wrote the checkpoint; None = nobody has recorded it."""


class CraftingFacts(Settings):
    """One attack on one surrogate, and what it costs."""

    attack: str
    surrogate: str
    settings: str
    """The attack with the steps that it took."""
    forward_passes: float
    """Forward passes through single models per clip, at most: a step on n models takes n."""
    backward_passes: float
    """Backward passes to the inputs, counted alike."""
    passes: float
    """A forward pass with the backward pass that follows it as one: what `budget` is about."""


class Facts(Settings):
    """The part of a report that does not follow from its outcomes."""

    models: tuple[ModelFacts, ...]
    craftings: tuple[CraftingFacts, ...]
    """Everything that was crafted, in order."""
    left_out: tuple[str, ...]
    """Attacks that could not be run on a surrogate, each with its reason."""
    class_names: tuple[str, ...]
    dataset_content_sha256: str
    moments_content_sha256: str | None = None
    """Of the same clips as the models sample them, which attacks are tried on; None = those that they are made on."""
    outcomes_sha256: str
    seconds: float
    """Wall-clock time of the measurement, of its last call if it was interrupted."""
    device: str
    provenance: Provenance
    """The code, libraries and machine that measured."""


class ModelResult(Settings):
    """One model on the untouched clips."""

    name: str
    accuracy: float | None
    """Share of all clips that are right; None = it was a member of an ensemble alone."""
    accuracy_interval: Interval | None


class Cell(Settings):
    """One attack crafted on one surrogate and tried on one victim."""

    attack: str
    surrogate: str
    victim: str
    is_white_box: bool
    """True if the victim is the surrogate or one of its members: nothing is transferred there."""
    num_clips: int
    """Clips that count: surrogate (of an ensemble every member) and victim have them right untouched."""
    num_fooled: int
    """Those of them that the victim has wrong once they are attacked."""
    success_rate: float | None
    """The share; None = no clip counts, here and below."""
    success_rate_interval: Interval | None
    difference: float | None
    """Success rate minus the baseline attack's over the same clips; None also of the baseline itself, and where that
    was left out."""
    difference_interval: Interval | None


class Mean(Settings):
    """One attack over the cells of a group, each counting the same.

    They are the same cells for every attack of the group: those in which all of them were crafted and clips count.
    """

    attack: str
    group: Group
    num_cells: int
    success_rate: float
    success_rate_interval: Interval
    difference: float | None
    """Mean of the cells' differences to the baseline attack; None = of the baseline itself, or it was left out in the
    whole group."""
    difference_interval: Interval | None


class TransferReport(Settings):
    """Everything that a measurement of transfer found."""

    format_version: Literal[1] = FORMAT_VERSION
    means: tuple[Mean, ...]
    """For each group that there is, the mean of every attack."""
    cells: tuple[Cell, ...]
    models: tuple[ModelResult, ...]
    surrogates: tuple[Surrogate, ...]
    attacks: tuple[str, ...]
    """Names of the attacks that were crafted, in the order of the settings."""
    baseline: str
    """The attack that others are compared with."""
    num_clips: int
    confidence: float = CONFIDENCE
    """Coverage of all intervals: paired bootstrap over clips, percentiles."""
    facts: Facts
    config: TransferConfig

    @classmethod
    def read(cls, folder: str | Path) -> TransferReport:
        """Read `transfer.json` of a measurement's folder.

        Raises:
            PlaceError: if there is none.
            DataError: if it is no report that this code can read.
        """
        return read_report(cls, folder, TRANSFER_NAME, what="measurement of transfer")

    def write(self, folder: Path) -> None:
        """Write `transfer.json`; it appears whole or not at all."""
        write_report(self, folder, TRANSFER_NAME)

    def cells_of(self, attack: str) -> tuple[Cell, ...]:
        """The cells of one attack."""
        return tuple(cell for cell in self.cells if cell.attack == attack)

    def means_of(self, group: Group) -> tuple[Mean, ...]:
        """The means over a group, attack after attack; empty if the group has no cell in which clips count."""
        return tuple(mean for mean in self.means if mean.group == group)

    @property
    def headline(self) -> str:
        """The mean transfer of the best attack in a few words."""
        found = self.means_of("single") or self.means
        if not found:
            return "no clip counts anywhere"
        best = max(found, key=lambda mean: mean.success_rate)
        return f"{best.attack} transfers best: success rate {percent(best.success_rate)} over {best.num_cells} cells"

    def unequal(self) -> Iterator[CraftingFacts]:
        """Craftings whose passes are not those of the budget: a rest too small for a step, or an attack of one step."""
        budget = self.config.budget
        return (each for each in self.facts.craftings if budget is not None and each.passes != budget)
