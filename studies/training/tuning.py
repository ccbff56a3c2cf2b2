"""The peers with the curriculum's means, each in the best of as many settings as every other one has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from studies.side_by_side import side_by_side
from studies.training.methods import Method
from studies.training.outcomes import Clips, Job, clean_rights, outcomes
from studies.training.trainings import Trained, Training, trained
from training.attacks import PGD, WorstCase
from training.config import TrainConfig
from training.threat import ThreatModel

logger = logging.getLogger(__name__)

SEED = 100
"""The seed of every trial: no other training has it."""
ATTACK = WorstCase(attacks=(PGD(steps=10), PGD(steps=10, loss="margin")))
"""The attack that trials are judged by: weaker than what judges the methods, so that it is affordable."""


@dataclass(frozen=True)
class Trial:
    """A setting of a method, and what came of it on validation clips."""

    method: Method
    robust_accuracy: float
    """Share of the validation clips that withstood `ATTACK`."""
    passes: float
    """Passes of the training, per training clip."""

    def as_json(self) -> dict[str, object]:
        """The trial as plain data."""
        return {
            "objective": self.method.objective.model_dump(mode="json"),
            "epochs_factor": self.method.epochs_factor,
            "robust_accuracy": self.robust_accuracy,
            "passes": self.passes,
        }


@dataclass(frozen=True)
class Tuning:
    """The trainings and clips that settings are chosen by."""

    config_of: Callable[[Method, int], TrainConfig]
    """Settings of the training of a method by a seed."""
    clips: Clips
    threat: ThreatModel
    folder: Path
    """Receives `models` and `outcomes`."""
    processes: int

    def trials(self, wanted: Mapping[str, tuple[Method, ...]]) -> dict[str, list[Trial]]:
        """Every setting of every method, trained once, in the order given."""
        numbered = [(name, number, each) for name, settings in wanted.items() for number, each in enumerate(settings)]
        wishes = [
            Training(f"{name}, trial {number + 1}", self.config_of(each, SEED)) for name, number, each in numbered
        ]
        train = partial(trained, folder=self.folder / "models")
        models = side_by_side("tuning: training", train, wishes, processes=self.processes)
        rates = self._robust_accuracies(models)
        found: dict[str, list[Trial]] = {name: [] for name in wanted}
        for (name, number, each), model in zip(numbered, models, strict=True):
            found[name].append(Trial(each, rates[model], model.passes))
            logger.info("%s, trial %d: %.1f%% at %.1f passes", name, number + 1, 100 * rates[model], model.passes)
        return found

    def _robust_accuracies(self, models: list[Trained]) -> dict[Trained, float]:
        jobs = [
            Job(self.clips, model, (model.checkpoint,), self.threat, {"tuning": ATTACK}, self.folder / "outcomes")
            for model in models
        ]
        found = side_by_side("tuning: attacking", outcomes, jobs, processes=self.processes)
        is_right = clean_rights(self.clips, tuple(model.checkpoint for model in models))
        return {
            model: float((right & ~each["tuning"][0]).mean())
            for model, right, each in zip(models, is_right, found, strict=True)
        }


def best(trials: list[Trial]) -> Trial:
    """The most robust trial; of equal ones the cheapest."""
    return max(trials, key=lambda trial: (trial.robust_accuracy, -trial.passes))
