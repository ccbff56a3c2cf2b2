"""The records that MLflow is to hold of a search: the search itself, and every trial below it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.search.report import METRIC, SearchResult
from pipeline.tracked_stages import training_record
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


def note_trial(folder: Path, note: TrialNote) -> None:
    """Write the note of the trial in this folder, in place of any other."""
    write_text(folder / TRIAL_NAME, json.dumps(asdict(note)) + "\n")


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
        note = TrialNote(**parse_json(read_regular(file), what=f"'{file}'"))
        trial_id = file.parent.name
        yield training_record(
            RunFolder(file.parent),
            status if note.status == "RUNNING" else note.status,
            key=f"trial {folder} {trial_id}",
            name=f"trial {trial_id}",
            settings=note.settings,
            parent=parent,
        )
