"""A Kinetics-Sounds-shaped data set made on the spot: real MP4 files of drawn performers who play synthesised music."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from preprocessing.datasets.base import Dataset, Listing
from preprocessing.datasets.demo.clips import DEMO_CLASSES, ClipPlan, Difficulty, encode_clip, plan_clip, render_clip
from preprocessing.datasets.kinetics_sounds import KineticsSounds
from preprocessing.errors import DataError, PlaceError, SettingsError
from preprocessing.reporting.progress import SECONDS_BETWEEN_LINES, Progress
from preprocessing.schema import Split
from preprocessing.settings import describe_differences
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.places import require_writable

logger = logging.getLogger(__name__)

DEMO_VERSION = 1
"""Raised whenever the same settings make other clips."""
MANIFEST_NAME = "demo.json"
SPLIT_FOLDERS: dict[Split, str] = {"train": "train", "validation": "val", "test": "test"}
CLIPS_PER_TASK = 8


class Demo(Dataset):
    """Eight Kinetics-Sounds classes whose clips must be seen and heard to be told apart (see `clips.py`).

    Clips are 4 s of 340x256 video at 25 frames a second with sound, named and annotated like Kinetics. A clip depends
    on `seed`, `difficulty`, its split and its number alone. On a cluster, `root` must be on storage that all nodes
    share.
    """

    name: Literal["demo"] = "demo"
    root: Path
    """Folder that receives the videos."""
    num_train: PositiveInt = 640
    """Training clips."""
    num_validation: NonNegativeInt = 96
    """Validation clips."""
    num_test: NonNegativeInt = 200
    """Test clips."""
    seed: NonNegativeInt = 0
    """Other seeds make other clips."""
    layout: Literal["flat", "class_folders"] = "flat"
    """`flat`: `train/<clip>.mp4`, labels in the annotations only; `class_folders`: `train/<class>/<clip>.mp4`."""
    difficulty: Difficulty = Difficulty()
    """Noise, distractors and weak streams that make the clips hard to tell apart."""

    def plans(self) -> Iterator[ClipPlan]:
        """All clips of the data set, split by split."""
        for split in SPLIT_FOLDERS:
            for index in range(getattr(self, f"num_{split}")):
                yield plan_clip(self.seed, split, index)

    def path_of(self, plan: ClipPlan) -> Path:
        """The file of a clip."""
        folder = self.root / SPLIT_FOLDERS[plan.split]
        return (folder / plan.class_name if self.layout == "class_folders" else folder) / plan.file_name

    def prepare(self) -> None:
        """Make the clips that are missing, as Ray tasks.

        Raises:
            ValueError: if `root` holds a demo data set with other settings, or files of something else.
            RuntimeError: if ffmpeg fails.
        """
        self._claim_root()
        plans = list(self.plans())
        for folder in {self.path_of(plan).parent for plan in plans}:
            folder.mkdir(parents=True, exist_ok=True)
        for split in SPLIT_FOLDERS:
            write_annotations(
                self.root / f"{SPLIT_FOLDERS[split]}.csv", [plan for plan in plans if plan.split == split]
            )
        missing = [plan for plan in plans if not self.path_of(plan).exists()]
        if missing:
            logger.info("demo data set '%s': making %d of %d clips", self.root, len(missing), len(plans))
            self._make(missing)

    def listing(self) -> Listing:
        """Read the clips the way Kinetics-Sounds is read."""
        return KineticsSounds(root=self.root, classes=DEMO_CLASSES, validation_share=0.0).listing()

    def manifest(self) -> dict[str, Any]:
        """Everything that the clips depend on."""
        return {"version": DEMO_VERSION, **self.model_dump(mode="json", exclude={"root"})}

    def _claim_root(self) -> None:
        """Write the manifest into an empty root, or check that it is the same."""
        require_writable(self.root, setting="dataset.root")
        path = self.root / MANIFEST_NAME
        if path.exists():
            wanted = json.loads(json.dumps(self.manifest()))
            try:
                found = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise DataError(f"'{path}' is damaged: {error}") from error
            if differences := describe_differences(found, wanted):
                raise SettingsError(
                    f"dataset.root='{self.root}' holds a demo data set with other settings ({'; '.join(differences)}): "
                    "use these settings, or another root"
                )
        elif self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise PlaceError(f"dataset.root='{self.root}' holds something else; set it to a new folder")
        else:
            self.root.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(self.manifest(), indent=2) + "\n")

    def _make(self, plans: Sequence[ClipPlan]) -> None:
        import ray  # takes a second, which reading settings is spared

        task = ray.remote(num_cpus=1)(make_clips)
        jobs = [(plan, self.path_of(plan).absolute()) for plan in plans]
        pending = [
            task.remote(self.seed, self.difficulty, jobs[start : start + CLIPS_PER_TASK])
            for start in range(0, len(jobs), CLIPS_PER_TASK)
        ]
        progress = Progress(len(jobs))
        while pending:
            finished, pending = ray.wait(pending, timeout=SECONDS_BETWEEN_LINES)
            progress.add(sum(ray.get(finished)))
            if progress.is_due(always=not pending):
                numbers = (progress.done, progress.total, progress.rate)
                logger.info("demo clips: %d of %d made, %.1f clips/s, %s", *numbers, progress.time_left())


def make_clips(seed: int, difficulty: Difficulty, jobs: Sequence[tuple[ClipPlan, Path]]) -> int:
    """Render and encode clips, each to its path; returns how many."""
    for plan, path in jobs:
        encode_clip(render_clip(seed, plan, difficulty), path, seed=seed + plan.index)
    return len(jobs)


def write_annotations(path: Path, plans: Sequence[ClipPlan]) -> None:
    """Write the CSV that names label and split of each clip, as Kinetics does."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("label", "youtube_id", "time_start", "time_end", "split"))
    for plan in plans:
        split = SPLIT_FOLDERS[plan.split]
        rows.writerow((plan.class_name, plan.youtube_id, plan.time_start, plan.time_end, split))
    write_text(path, text.getvalue())
