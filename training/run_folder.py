"""A training's output folder: the files that let it be interrupted at any moment and go on.

.in-use.json  the process that works here, see `preprocessing.storage.output_lock`; gone when it ends
config.yaml   the settings that decide the result, written when training begins; and how many epochs it had before more
epochs/       000007/, ...: a checkpoint each; the newest and the best one are kept
steps/        000007-000120/: a checkpoint in the middle of the eighth epoch; the newest is kept until it ends
checkpoint/   a copy of the best epoch's
history.jsonl every stored epoch's metrics, a line each: what may be watched while training goes on
result.json   every epoch's metrics and why training stopped early, if it did; written when it is finished
ray/          Ray Train's own files

A folder or file under its final name is complete: each is written under another name and then renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from preprocessing.errors import DataError, SettingsError
from preprocessing.settings import describe_differences
from preprocessing.storage.atomic_file import remove_abandoned_below, write_text
from preprocessing.storage.atomic_folder import replacing_folder
from preprocessing.storage.parsing import parse_json, read_regular, read_settings
from training.checkpoint import load_info
from training.retired_settings import with_added, without_retired

EARLIER = "earlier_epochs"
"""The entry of `config.yaml` with the numbers of epochs that a training had before it was given more."""
Metrics = dict[str, float]
Score = Callable[[Metrics], tuple[float, ...]]
"""Orders epochs by their metrics; the best one has the greatest."""


@dataclass(frozen=True)
class TrainingOutcome:
    """The end of a training: its history, and its reason if it was early."""

    history: list[Metrics]
    """Metrics of every epoch."""
    stopped: str = ""
    """The reason why it ended before its last epoch, by its own rules; empty if it did not."""


@dataclass(frozen=True)
class RunFolder:
    """The output folder of one training."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The folder of the best epoch's checkpoint."""
        return self.path / "checkpoint"

    @property
    def settings(self) -> Path:
        """The file of the settings that decide the result."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """The file of every stored epoch's metrics."""
        return self.path / "history.jsonl"

    @property
    def result(self) -> Path:
        """The file that says that training is finished."""
        return self.path / "result.json"

    def epoch(self, number: int) -> Path:
        """The folder of an epoch's checkpoint; epochs are counted from 1."""
        return self.path / "epochs" / f"{number:06d}"

    def epochs(self) -> list[int]:
        """Epochs whose checkpoints are there, in order."""
        folder = self.path / "epochs"
        return sorted(int(each.name) for each in folder.iterdir() if each.name.isdigit()) if folder.is_dir() else []

    def state(self, epochs: int, step: int) -> Path:
        """The folder of the state after so many epochs and `step` steps of the next one."""
        return self.path / "steps" / f"{epochs:06d}-{step:06d}" if step else self.epoch(epochs)

    @property
    def is_begun(self) -> bool:
        """True if anything of the training is stored."""
        return self.newest() != (0, 0)

    def newest(self) -> tuple[int, int]:
        """Epochs and steps of the next one that are stored; (0, 0) if nothing is."""
        epochs = max(self.epochs(), default=0)
        return epochs, max((step for of, step in self._steps() if of == epochs), default=0)

    def keep_newest_step(self) -> None:
        """Remove every state in the middle of an epoch but the newest one, and this as well if its epoch is stored."""
        kept = self.state(*self.newest())
        folder = self.path / "steps"
        for found in folder.iterdir() if folder.is_dir() else ():
            if found != kept:
                shutil.rmtree(found, ignore_errors=True)

    def _steps(self) -> list[tuple[int, int]]:
        """Epochs and steps of every state in the middle of an epoch."""
        folder = self.path / "steps"
        complete = (each.name for each in (folder.iterdir() if folder.is_dir() else ()) if each.name[0] != ".")
        return [(int(epochs), int(step)) for epochs, _, step in (name.partition("-") for name in complete)]

    def claim(self, settings: dict[str, object]) -> None:
        """Note the settings of a new training, or make sure that they are those of the one that is begun here.

        Raises:
            SettingsError: if another training is here; it says in what it differs.
        """
        remove_abandoned_below(self.path)
        if not self.is_begun:
            self.metrics.unlink(missing_ok=True)
            write_text(self.settings, yaml.safe_dump(settings, sort_keys=False))
            return
        self.refuse_another(settings)
        if earlier := self.lengths_before(settings):
            self.result.unlink(missing_ok=True)
            write_text(self.settings, yaml.safe_dump({**settings, EARLIER: earlier}, sort_keys=False))

    def lengths_before(self, settings: dict[str, object]) -> list[int]:
        """The numbers of epochs that the training here was begun and finished with, if these settings give it more.

        Empty if they do not: it is new, or goes on as it was begun.
        """
        if not self.is_begun:
            return []
        noted, earlier = self._noted_settings()
        before, now = noted.get("epochs"), settings.get("epochs")
        if not (isinstance(before, int) and isinstance(now, int)):
            return []
        return [*earlier, before] if before < now and self.newest()[0] >= before else []

    def refuse_another(self, settings: dict[str, object]) -> None:
        """Stop if a training with other settings is begun here; it writes nothing.

        Raises:
            SettingsError: naming every setting that differs.
        """
        if not self.is_begun:
            return
        noted = with_added(self._noted_settings()[0], settings)
        if self.lengths_before(settings):
            noted["epochs"] = settings["epochs"]
        if lines := describe_differences(noted, settings):
            raise SettingsError(
                f"output='{self.path}' holds a training with other settings; choose another output or remove it. "
                "What differs:\n" + "\n".join(f"  {line}" for line in lines) + self._about_epochs(noted, settings)
            )

    def _about_epochs(self, noted: dict[str, object], settings: dict[str, object]) -> str:
        """The remedy, if the number of epochs differs."""
        before, now = noted.get("epochs"), settings.get("epochs")
        if before == now:
            return ""
        if (outcome := self.outcome()) and outcome.stopped:
            return f"\nIt has ended by its own rules, and more epochs would end at once: {outcome.stopped}"
        return (
            f"\nOnly a finished training can be given more epochs, and none fewer: finish it with epochs={before} first"
        )

    def _noted_settings(self) -> tuple[dict[str, object], list[int]]:
        """The settings of the training that is begun here, and the numbers of epochs that it had before."""
        try:
            found = read_settings(self.settings)
        except (FileNotFoundError, DataError) as error:
            raise DataError(f"the settings of the training begun here cannot be read: {error}") from error
        earlier = found.pop(EARLIER, [])
        return without_retired(found, where=f"the training in output='{self.path}'"), earlier

    def keep_best_and_last(self, history: Sequence[Metrics], *, score: Score) -> Metrics:
        """Make `checkpoint` the best epoch's and return its metrics; remove states that are neither best nor newest."""
        best = best_epoch(history, score=score)
        if not self.checkpoint.exists() or load_info(self.checkpoint).epoch != best:
            with replacing_folder(self.checkpoint) as partial:
                shutil.copytree(self.epoch(best), partial, dirs_exist_ok=True)
        kept = {self.epoch(best).name, self.epoch(len(history)).name}
        for folder in (self.path / "epochs").iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        self.keep_newest_step()
        return history[best - 1]

    def note(self, history: Sequence[Metrics]) -> None:
        """Write every epoch's metrics where others can read them."""
        write_text(self.metrics, "".join(f"{json.dumps(metrics)}\n" for metrics in history))

    def history(self) -> list[Metrics]:
        """Metrics of every stored epoch; read anew at every call."""
        if outcome := self.outcome():
            return outcome.history
        try:
            lines = read_regular(self.metrics).splitlines()
            return [parse_json(line, what=f"'{self.metrics}'") for line in lines]
        except FileNotFoundError:
            return []

    def finish(self, outcome: TrainingOutcome) -> None:
        """Note that training is finished."""
        write_text(self.result, json.dumps(asdict(outcome), indent=1) + "\n")

    def outcome(self) -> TrainingOutcome | None:
        """The end of the training; None if it is not finished.

        Raises:
            DataError: if what says so is damaged.
        """
        if not (self.result.exists() and self.checkpoint.exists()):
            return None
        return TrainingOutcome(**parse_json(read_regular(self.result), what=f"'{self.result}'"))


def best_epoch(history: Sequence[Metrics], *, score: Score) -> int:
    """The number of the best epoch, counted from 1; of equally good ones the latest."""
    return 1 + max(range(len(history)), key=lambda index: (score(history[index]), index))
