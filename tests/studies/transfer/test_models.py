from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from preprocessing.errors import DataError
from studies.transfer.beds import Bed
from studies.transfer.models import Wish, accuracy, load, make
from tests.studies.transfer.archives import write_archives


def test_a_model_is_trained_once_and_gets_unseen_clips_right(tmp_path: Path) -> None:
    write_archives(tmp_path)
    bed = Bed(path=str(tmp_path / "report.npz"), train=str(tmp_path / "train.npz"), epochs=6)
    wish = Wish(bed, "plain", 0, "standard", tmp_path / "models")
    first = make(wish)
    written = first.stat().st_mtime_ns
    assert accuracy(load(wish, 2), bed.load("report").batches()) > 0.9
    assert make(wish) == first
    assert first.stat().st_mtime_ns == written
    others = (replace(wish, seed=1), replace(wish, kind="early"), replace(wish, architecture="vgg"))
    assert len({first, *(other.file for other in others)}) == 4
    assert replace(wish, bed=bed.model_copy(update={"name": "digits"})).file != first  # the name is part of the place


def test_other_clips_make_other_models_and_too_few_are_refused(tmp_path: Path) -> None:
    write_archives(tmp_path)
    with np.load(tmp_path / "train.npz") as stored:
        clips = dict(stored)
    np.savez(tmp_path / "few.npz", **{name: values[:63] for name, values in clips.items()})
    report, models = str(tmp_path / "report.npz"), tmp_path / "models"
    beds = [Bed(path=report, train=str(tmp_path / name)) for name in ("train.npz", "few.npz")]
    whole, few = (Wish(bed, "plain", 0, "standard", models) for bed in beds)
    assert whole.file != few.file
    with pytest.raises(DataError, match="bed 'report' has 63 clips to learn; allowed: 64 or more, one batch"):
        make(few)
