"""The settings of a measurement under corruptions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from evaluation.corruptions.kinds.base import SEVERITIES, Severity
from evaluation.corruptions.kinds.listing import CORRUPTIONS, NAMES, CorruptionName
from preprocessing.schema import Split
from preprocessing.settings import Settings
from preprocessing.storage.places import Place

Perturbed = Literal["both", "video", "audio"]
"""The modalities that are corrupted; the other one stays clean."""


class CorruptionsConfig(Settings):
    """A measurement under corruptions: a checkpoint, the clips, the corruptions and their severities."""

    checkpoint: str = Field(min_length=1)
    """Folder of a checkpoint."""
    data: Place
    """Preprocessed data set: a folder or any fsspec URL."""
    output: str = Field(min_length=1)
    """Folder that receives corruptions.json, corruptions.html, predictions.parquet and the pictures."""
    corruptions: tuple[CorruptionName, ...] = Field(default=NAMES, min_length=1)
    """Corruptions that are measured: the fifteen of AVRobustBench, and segments blanked at once or each for itself."""
    severities: tuple[Severity, ...] = Field(default=SEVERITIES, min_length=1)
    """Severities from 1 to 5, rising. Means over severities are over these."""
    perturbed: tuple[Perturbed, ...] = Field(default=("both", "video", "audio"), min_length=1)
    """Corrupted modalities. Each costs a forward pass; the clip is corrupted once for all of them."""
    reference: str | None = None
    """Folder of another model's finished measurement, under the same settings: corruption errors are relative to its
    own, as AlexNet's are in ImageNet-C. Unset = no corruption errors."""
    noise_folder: str | None = None
    """Folder of recorded noises, one folder per corruption that has one (`snow`, `frost`, ..., `crowd`); unset =
    noises are synthesised."""
    split: Split = "test"
    """Clips of this split are measured."""
    limit: PositiveInt | None = None
    """Measure only the first so many clips; unset = all."""
    batch_size: PositiveInt = 32
    """Clips per forward pass. It sets the memory that is needed and the speed, and changes no corruption."""
    workers: PositiveInt = 2
    """Ray tasks among which the clips are divided. Their number changes nothing in the results, bit for bit."""
    cpus_per_worker: PositiveInt = 1
    """Processor cores, and so threads, of a task."""
    gpu: bool | None = None
    """Each task gets a GPU, or none does; unset = if the cluster has any or can add nodes that have. Clips are
    corrupted by the processor in any case."""
    gpus_per_worker: float = Field(default=1.0, gt=0)
    """GPUs of each task, if it gets any."""
    max_wait_minutes: PositiveFloat | None = 30.0
    """Minutes that the measurement waits for a node that can run a task; null = without end. What the cluster can never
    have is refused at once."""
    num_resamples: PositiveInt = 2000
    """Bootstrap draws behind each interval."""
    seed: int = 0
    """Seed of the corruptions (per clip and corruption, the same for all models) and of the bootstrap."""

    @model_validator(mode="after")
    def _nothing_is_listed_twice(self) -> CorruptionsConfig:
        for name in ("corruptions", "perturbed"):
            listed = getattr(self, name)
            repeated = sorted({each for each in listed if listed.count(each) > 1})
            if repeated:
                raise ValueError(f"{name}: {', '.join(repeated)} is listed more than once; remove the repetition")
        if list(self.severities) != sorted(set(self.severities)):
            raise ValueError(f"severities: must rise without repetition, got {list(self.severities)}")
        return self

    @property
    def noisy(self) -> tuple[CorruptionName, ...]:
        """The listed corruptions whose sound a recording can be."""
        return tuple(name for name in self.corruptions if CORRUPTIONS[name].needs_noise)
