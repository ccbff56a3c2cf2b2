"""The records that MLflow is to hold of a search: the search itself, and every trial below it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pipeline.search.report import METRIC, SearchResult
from pipeline.tracked_stages import training_record
from pipeline.tracking.mlflow_runs import EPOCH
from pipeline.tracking.record import RunRecord, Status
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.parsing import parse_json, read_regular
from training.run_folder import RunFolder

BEST_NAME = "best.yaml"
RESULT_NAME = "search.json"
PICTURE_NAME = "search.png"
TRIAL_NAME = "trial.json"


@dataclass(frozen=True)
class TrialNote:
    """The knowledge of a search's driver about a trial, as it is noted in the trial's folder."""

    settings: Mapping[str, str | float]
    """All settings of its training."""
    status: Status
    """RUNNING until the search has heard of its end."""
    points: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """The numbers of every epoch that the search has heard of: a trial that is stopped is killed before it has stored
    its last one."""

    @classmethod
    def read(cls, folder: Path) -> TrialNote:
        """The note of the trial in this folder."""
        file = folder / TRIAL_NAME
        stored = parse_json(read_regular(file), what=f"'{file}'")
        points = {int(epoch): metrics for epoch, metrics in stored.pop("points", {}).items()}
        return cls(**stored, points=points)


def note_trial(folder: Path, note: TrialNote) -> None:
    """Write the note of the trial in this folder, in place of the one before, whose epochs it keeps."""
    known = TrialNote.read(folder).points if (folder / TRIAL_NAME).exists() else {}
    note = replace(note, points={**known, **note.points})
    write_text(folder / TRIAL_NAME, json.dumps(asdict(note)) + "\n")


def reported(result: Mapping[str, object]) -> dict[int, dict[str, float]]:
    """The numbers that a training has reported of an epoch, by its number, without what Tune adds to them."""
    numbers = {name: float(value) for name, value in result.items() if "/" in name and isinstance(value, int | float)}
    epoch = result[EPOCH]
    assert isinstance(epoch, int | float), f"an epoch has a number, got {epoch!r}"
    return {int(epoch): {EPOCH: float(epoch), **numbers}}


def search_records(status: Status, *, output: str, settings: Mapping[str, str | float]) -> Sequence[RunRecord]:
    """The record of the search in `output`, then those of its trials, as far as they are stored.

    A trial that was running when the search ended has ended in the same way.
    """
    folder = Path(output)
    key = f"tune {output}"
    is_finished = status == "FINISHED"
    files = [folder / name for name in (BEST_NAME, RESULT_NAME, PICTURE_NAME) if is_finished]
    points = {}
    if is_finished:
        result = SearchResult.model_validate_json(read_regular(folder / RESULT_NAME))
        points[0] = {METRIC: result.best.robust_accuracy}
    search = RunRecord(key, folder.name, settings, METRIC, points, dict.fromkeys(files, "search"), status)
    return [search, *_trial_records(folder, status, parent=key)]


def _trial_records(folder: Path, status: Status, *, parent: str) -> Iterator[RunRecord]:
    for file in sorted(folder.glob(f"trials/*/{TRIAL_NAME}")):
        note = TrialNote.read(file.parent)
        trial_id = file.parent.name
        record = training_record(
            RunFolder(file.parent),
            status if note.status == "RUNNING" else note.status,
            key=f"trial {folder} {trial_id}",
            name=f"trial {trial_id}",
            settings=note.settings,
            parent=parent,
        )
        yield replace(record, points={**note.points, **record.points})
