"""States of a training, stored between epochs and within one: it goes on from each to the same bits."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from preprocessing.cluster.shared_places import UnsharedPlaceError
from preprocessing.storage.provenance import Provenance, device_name
from training.checkpoint import CheckpointInfo, load_state, load_weights, save
from training.config import TrainConfig
from training.data import StoredSplit
from training.learner import Learner
from training.metrics import Sums, total_of
from training.models import Classifier
from training.run_folder import Metrics, RunFolder, best_epoch
from training.workers.worker import Worker

logger = logging.getLogger(__name__)

Buffers = dict[str, Tensor]


@dataclass(frozen=True)
class PartialEpoch:
    """One worker's part of an epoch that is not finished."""

    step: int = 0
    """Steps done."""
    sums: Sums = field(default_factory=Sums)
    """Sums of the metrics so far, of this worker's clips."""
    seconds: float = 0.0
    """Time that the steps have taken."""
    data_seconds: float = 0.0
    """Time that the steps have waited for clips."""


@dataclass
class TrainingState:
    """The state of a training beside its weights: finished epochs, the one that was interrupted, and why it ended."""

    history: list[Metrics] = field(default_factory=list)
    """Metrics of every finished epoch."""
    partial_epoch: PartialEpoch = field(default_factory=PartialEpoch)
    """The epoch after those, if it was interrupted."""
    resumed_from: int = 0
    """Epochs that an earlier attempt had finished."""
    resumed_step: int = 0
    """Steps of the next epoch that it had stored beyond them."""
    stopped: str = ""
    """The reason why training ended before its last epoch, by its own rules; empty if it did not."""
    failed: str = ""
    """The reason why training cannot go on; empty if it can."""

    @property
    def epochs(self) -> int:
        """Epochs that are finished."""
        return len(self.history)


@dataclass(frozen=True)
class StateStore:
    """Writes one training's states into its output folder, and reads them back."""

    config: TrainConfig
    split: StoredSplit
    """The training split, which every checkpoint names."""
    learner: Learner
    """The owner of the weights, moments and average that are stored."""
    worker: Worker

    @property
    def folder(self) -> RunFolder:
        """The training's output folder."""
        return RunFolder(Path(self.config.output))

    def resume(self) -> TrainingState:
        """Go on from the newest state, if there is one.

        Raises:
            UnsharedPlaceError: if the workers do not see the same output folder.
        """
        newest = self.folder.newest()
        value = f"{newest[0]} epochs and {newest[1]} steps" if self.folder.settings.exists() else "nothing"
        seen = self.worker.all_gather(value)
        if len(set(seen)) > 1 or "nothing" in seen:
            raise UnsharedPlaceError(
                f"the workers see {', '.join(seen)} in output='{self.config.output}': all nodes must share it"
            )
        if not self.folder.is_begun:
            return TrainingState()
        epochs, step = newest
        stored = self.restore(self.folder.state(epochs, step))
        return TrainingState(
            history=stored["history"],
            partial_epoch=self._own_part(stored["begun"]) if step else PartialEpoch(),
            resumed_from=epochs,
            resumed_step=step,
        )

    def restore(self, folder: Path) -> dict[str, Any]:
        """Give the learner what it had when `folder` was written; returns what is stored beside the weights."""
        learner = self.learner
        load_weights(folder, learner.exported_model)
        state = load_state(folder)
        if learner.average:
            learner.classifier.load_state_dict(state["weights"])
            learner.average.go_on(state["averaged_steps"])
        learner.optimizer.load_state_dict(state["optimizer"])
        return state

    def roll_back(self, history: list[Metrics]) -> None:
        """Give the learner what it had after the best epoch; it is stored as long as it is the best."""
        best = best_epoch(history, score=self.config.validation.score)
        self.restore(self.folder.epoch(best))
        if self.worker.rank == 0:
            logger.info(
                "epoch %d: robust accuracy on validation fell from %.1f%% to %.1f%%; going back to epoch %d",
                len(history),
                100 * history[best - 1]["validation/robust_accuracy"],
                100 * history[-1]["validation/robust_accuracy"],
                best,
            )

    def keep_epoch(self, history: list[Metrics]) -> None:
        """Store the epoch that is finished, and make it the training's checkpoint if it is the best."""
        if self.worker.rank == 0:
            self._save(self.folder.epoch(len(history)), history)
            self.folder.note(history)
            self.folder.keep_best_and_last(history, score=self.config.validation.score)

    def keep_step(self, history: list[Metrics], partial_epoch: PartialEpoch) -> None:
        """Store the middle of the epoch after `history`; every worker must call this, at the same step.

        Workers differ in their sums and in the model's buffers, which are averaged between epochs only: both are stored
        of each worker, so that storing changes nothing.
        """
        own = {
            "sums": partial_epoch.sums.by_name,
            "weight": partial_epoch.sums.weight,
            "buffers": _buffers_of(self.learner.classifier),
        }
        of_workers = self.worker.all_gather(own)
        if self.worker.rank == 0:
            state = {
                "step": partial_epoch.step,
                "seconds": partial_epoch.seconds,
                "data_seconds": partial_epoch.data_seconds,
            }
            begun_state = state | {"of_workers": of_workers}
            self._save(self.folder.state(len(history), partial_epoch.step), history, begun=begun_state)
            self.folder.keep_newest_step()

    def _save(self, path: Path, history: list[Metrics], **more: object) -> None:
        info = CheckpointInfo(
            model=self.config.model,
            clip_format=self.split.index.format,
            classes=self.split.index.classes,
            dataset_sha256=self.split.index.content_sha256,
            epoch=len(history),
            metrics=history[-1] if history else {},
            objective=self.config.objective.name,
            provenance=Provenance.on(device_name(str(self.worker.device))),
        )
        learner = self.learner
        state = {"optimizer": learner.optimizer.state_dict(), "history": history, **more}
        if learner.average:
            state |= {"weights": learner.classifier.state_dict(), "averaged_steps": learner.average.steps}
        save(path, model=learner.exported_model, info=info, config=self.config.model_dump(mode="json"), state=state)

    def _own_part(self, stored: dict[str, Any]) -> PartialEpoch:
        """This worker's part of a partial epoch.

        With another number of workers than before, the first one has the sum of theirs, and all the mean statistics.
        """
        of_workers = stored["of_workers"]
        sums = [Sums(each["sums"], each["weight"]) for each in of_workers]
        if len(of_workers) == self.worker.world_size:
            own, buffers = sums[self.worker.rank], of_workers[self.worker.rank]["buffers"]
        else:
            total = total_of(sums)
            own = total if self.worker.rank == 0 else Sums(dict.fromkeys(total.by_name, 0.0), 0)
            buffers = _mean_buffers([each["buffers"] for each in of_workers])
        for name, buffer in self.learner.classifier.named_buffers():
            buffer.copy_(buffers[name])
        return PartialEpoch(stored["step"], own, stored["seconds"], stored["data_seconds"])


def _buffers_of(model: Classifier) -> Buffers:
    return {name: buffer.detach().cpu() for name, buffer in model.named_buffers()}


def _mean_buffers(of_workers: list[Buffers]) -> Buffers:
    """Statistics are averaged; whole numbers, such as counts of batches, are the same in all workers."""
    first = of_workers[0]
    return {
        name: torch.stack([each[name] for each in of_workers]).mean(0) if value.is_floating_point() else value
        for name, value in first.items()
    }
