"""What lies in a training's output folder, so that it can be interrupted at any moment and go on.

config.yaml   the settings that decide the result, written when training begins
epochs/       000007/, ...: a checkpoint each; the newest and the best one are kept
checkpoint/   a copy of the best epoch's
result.json   every epoch's metrics, written when training is finished
ray/          Ray Train's own files

A folder or file under its final name is complete: each is written under another name and then renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from training.checkpoint import load_info, replace_folder, temporary_name

Metrics = dict[str, float]
Score = Callable[[Metrics], tuple[float, ...]]
"""Orders epochs by their metrics; the best one has the greatest."""


@dataclass(frozen=True)
class RunFolder:
    """The output folder of one training."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Where the best epoch's checkpoint is found."""
        return self.path / "checkpoint"

    @property
    def settings(self) -> Path:
        """The file of the settings that decide the result."""
        return self.path / "config.yaml"

    @property
    def result(self) -> Path:
        """The file that says that training is finished."""
        return self.path / "result.json"

    def epoch(self, number: int) -> Path:
        """Where the checkpoint of an epoch lies, counted from 1."""
        return self.path / "epochs" / f"{number:06d}"

    def epochs(self) -> list[int]:
        """Epochs whose checkpoints are there, in order."""
        folder = self.path / "epochs"
        return sorted(int(each.name) for each in folder.iterdir() if each.name.isdigit()) if folder.is_dir() else []

    def claim(self, settings: dict[str, object]) -> None:
        """Note the settings of a new training, or make sure that they are those of the one that is begun here.

        Raises:
            ValueError: if another training is here; it says in what it differs.
        """
        if not self.epochs():
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self.settings, yaml.safe_dump(settings, sort_keys=False))
            return
        found = yaml.safe_load(self.settings.read_text())
        different = sorted(name for name in {*found, *settings} if found.get(name) != settings.get(name))
        if different:
            lines = [f"  {name}: there {found.get(name)!r}, asked for {settings.get(name)!r}" for name in different]
            raise ValueError(
                f"output='{self.path}' holds a training with other settings; choose another output or remove it. "
                "What differs:\n" + "\n".join(lines)
            )

    def keep_best_and_last(self, history: Sequence[Metrics], *, score: Score) -> Metrics:
        """Make `checkpoint` the best epoch's and return its metrics; remove epochs that are neither best nor newest.

        Of equally good epochs the latest is the best.
        """
        best = max(range(len(history)), key=lambda index: (score(history[index]), index))
        if not self.checkpoint.exists() or load_info(self.checkpoint).epoch != best + 1:
            partial = temporary_name(self.checkpoint)
            shutil.copytree(self.epoch(best + 1), partial)
            replace_folder(partial, self.checkpoint)
        kept = {self.epoch(best + 1).name, self.epoch(len(history)).name}
        for folder in (self.path / "epochs").iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        return history[best]

    def finish(self, history: Sequence[Metrics]) -> None:
        """Note that training is finished."""
        write_whole(self.result, json.dumps({"history": list(history)}, indent=1) + "\n")

    def finished_history(self) -> list[Metrics] | None:
        """Every epoch's metrics if training is finished."""
        if not (self.result.exists() and self.checkpoint.exists()):
            return None
        history: list[Metrics] = json.loads(self.result.read_text())["history"]
        return history


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it appears under its name only when it is complete."""
    partial = temporary_name(path)
    partial.write_text(text)
    partial.rename(path)
