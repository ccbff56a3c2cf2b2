"""Settings of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from preprocessing.schema import ClipFormat
from preprocessing.settings import Settings
from preprocessing.storage.places import Place
from training.attacks import PGD, AnyAttack
from training.curriculum.monitoring import Decision, EarlyStopping, OverfittingMonitor, decide
from training.models import Classifier, ModelConfig
from training.models.batch_norm import BatchNorm, set_batch_norm
from training.models.weights import NONE
from training.objectives import AnyObjective, TMACurriculum
from training.optimization import OptimizerConfig
from training.run_folder import Metrics
from training.threat import AudioDomain, ThreatModel

Precision = Literal["float32", "bfloat16"]
"""A floating-point format."""


class ValidationConfig(Settings):
    """Measurements on validation clips after every epoch, by the same attacks whatever the objective trains against."""

    attacks: tuple[AnyAttack, ...] = Field(default=(PGD(steps=10),), min_length=1)
    """The attacks behind the robust accuracy: a clip counts if it withstands all of them."""
    threat: ThreatModel = ThreatModel()
    """Their rules."""
    limit: PositiveInt | None = None
    """Use the first so many validation clips; unset = all."""
    best_by: Literal["robust_accuracy", "clean_accuracy"] = "robust_accuracy"
    """The accuracy that decides the best epoch; the other one breaks ties."""

    def score(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """The value of an epoch with these metrics, to be compared with that of others."""
        other = "clean_accuracy" if self.best_by == "robust_accuracy" else "robust_accuracy"
        return metrics[f"validation/{self.best_by}"], metrics[f"validation/{other}"]


class TrainConfig(Settings):
    """Shards -> checkpoint."""

    data: Place
    """Preprocessed data set: a folder that all nodes see, or any fsspec URL."""
    output: str = Field(min_length=1)
    """Folder that receives `checkpoint/` (the best epoch) and the run's own files; all nodes must see it."""
    objective: AnyObjective = TMACurriculum()
    """The training method: what is minimised."""
    model: ModelConfig = ModelConfig()
    """The classifier."""
    epochs: PositiveInt = 30
    """Passes over the training split."""
    batch_size: PositiveInt = 64
    """Clips per step, all workers together; where it does not divide, some have one more than others."""
    batch_norm: BatchNorm = "synchronised"
    """Statistics that batch normalisation uses while it trains (`tiny`, `alexnet` and `vgg11` have none).
    `synchronised`: those of the whole batch, so that any number of workers learn what one learns; two small exchanges
    per layer. `frozen`: those of the initial weights, which must not be random; they stay as they are. `local`: those
    of each worker's own clips, averaged once an epoch; with several workers it is another training."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer, learning rate and average of the weights."""
    precision: Precision = "float32"
    """Number format of crafting and learning (weights stay float32); validation is always in float32."""
    channels_last: bool = False
    """Convolutions keep the channels of a pixel side by side in memory: the same numbers up to rounding."""
    gradient_clip: PositiveFloat | None = 1.0
    """Maximum global gradient norm (L2 over all weights); null disables clipping."""
    validation: ValidationConfig = ValidationConfig()
    """Measurements after every epoch, which decide the best one."""
    early_stopping: EarlyStopping | None = None
    """Ends training when validation's robust accuracy has stopped gaining; unset = all `epochs` are done."""
    overfitting: OverfittingMonitor | None = None
    """Consequence when validation's robust accuracy falls far below its best; unset = nothing."""
    workers: PositiveInt = 1
    """Ray Train workers: one process each, with one GPU if `gpu`."""
    gpu: bool | None = None
    """Each worker gets a GPU, or none does; unset = if the cluster has any or can add nodes that have."""
    cpus_per_worker: PositiveInt = 1
    """Processor cores, and so threads, of a worker."""
    loader_threads: NonNegativeInt = 1
    """Threads per worker that read and decode the next batches while the model works; 0 = none."""
    cache_mib: NonNegativeInt = 1024
    """Memory per worker and split for decoded clips, so that a small data set is decoded once and not once an epoch."""
    seed: int = 0
    """Decides initial weights, the order of clips and, with the clips' keys, all attack randomness."""
    checkpoint_every: PositiveInt | None = None
    """Steps after which the middle of an epoch is stored, so that little is lost when a worker is; unset = epochs only.
    It changes nothing that is learnt."""
    max_failures: NonNegativeInt = 3
    """Lost workers or nodes after which the run still goes on from its last checkpoint."""
    max_wait_minutes: PositiveFloat | None = 30.0
    """Minutes that training waits for the nodes that its workers need, at its start or when one is lost; null = without
    end. What the cluster can never have is refused at once."""

    registered_model: str | None = Field(default=None, pattern=r"^[^/:'\"]+$")
    """Name under which MLflow's registry gets the finished model, as a new version. The version with the highest
    `validation.best_by` is `models:/NAME@best`. Unset = it is not registered. It changes nothing that is learnt."""

    @model_validator(mode="after")
    def _every_worker_has_a_clip(self) -> TrainConfig:
        if self.batch_size < self.workers:
            raise ValueError(
                f"batch_size={self.batch_size} leaves some of workers={self.workers} without a clip: raise batch_size, "
                "or lower workers"
            )
        return self

    @model_validator(mode="after")
    def _frozen_statistics_are_of_data(self) -> TrainConfig:
        random = [name for name, weights in self.model.batch_normalised.items() if weights == NONE]
        if self.batch_norm == "frozen" and random:
            names = " and ".join(f"model.{name}_weights" for name in random)
            raise ValueError(
                "batch_norm=frozen normalises by the statistics that come with the initial weights, and random weights "
                f"have none: set {names}, or batch_norm=synchronised"
            )
        return self

    @model_validator(mode="after")
    def _one_set_of_moments(self) -> TrainConfig:
        self.validation.threat.require_known_moments("validation.threat")
        if threat := self._objective_threat:
            threat.require_known_moments("objective.threat")
        return self

    @model_validator(mode="after")
    def _one_audio_domain(self) -> TrainConfig:
        threat = self._objective_threat
        if threat and threat.audio_domain != self.validation.threat.audio_domain:
            raise ValueError(
                f"objective.threat={threat} is about the {threat.audio_domain}, validation.threat="
                f"{self.validation.threat} about the {self.validation.threat.audio_domain}: a model is trained and "
                "measured on one of them (write audio=... or waveform=... in both)"
            )
        return self

    @model_validator(mode="after")
    def _the_best_epoch_is_the_most_robust(self) -> TrainConfig:
        rolls_back = self.overfitting is not None and self.overfitting.action == "roll_back"
        if rolls_back and self.validation.best_by != "robust_accuracy":
            raise ValueError(
                "overfitting.action=roll_back goes back to the best epoch, which validation.best_by="
                f"{self.validation.best_by} chooses without regard to robustness; set best_by=robust_accuracy"
            )
        return self

    def build_model(
        self, clip_format: ClipFormat, num_classes: int, *, device: torch.device | str = "cpu"
    ) -> Classifier:
        """The freshly initialised classifier, laid out in memory and normalised as it is trained on `device`."""
        model = self.model.build(clip_format, num_classes)
        set_batch_norm(model, self.batch_norm, device)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        return model

    def for_next_epoch(self, history: Sequence[Metrics]) -> tuple[TrainConfig, Decision]:
        """The settings of the epoch after these, and whether there is to be one.

        Adaptive schedules stand still at their level, and roll-backs have lowered the learning rate.
        """
        accuracies = [metrics["validation/robust_accuracy"] for metrics in history]
        decision = decide(accuracies, early_stopping=self.early_stopping, overfitting=self.overfitting)
        rate = self.optimizer.learning_rate * decision.learning_rate_factor
        optimizer = self.optimizer.model_copy(update={"learning_rate": rate})
        objective = self.objective.for_next_epoch(accuracies)
        return self.model_copy(update={"optimizer": optimizer, "objective": objective}), decision

    @property
    def audio_domain(self) -> AudioDomain:
        """The form in which sound is read, log-mel patches or waveforms, as all threats of this training say."""
        return self.validation.threat.audio_domain

    @property
    def _objective_threat(self) -> ThreatModel | None:
        """None for an objective that attacks nothing."""
        return getattr(self.objective, "threat", None)

    def fingerprint(self) -> dict[str, object]:
        """Settings that decide the trained weights beside the data's content: a resumed run must have the same ones."""
        machine = {"data", "output", "workers", "gpu", "cpus_per_worker", "loader_threads", "cache_mib"}
        limits = {"checkpoint_every", "max_failures", "max_wait_minutes", "registered_model"}
        unused = set() if self.model.batch_normalised else {"batch_norm"}
        return self.model_dump(mode="json", exclude=machine | limits | unused)
