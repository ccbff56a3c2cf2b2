from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from studies.transfer.attacks import Contender, contenders
from studies.transfer.beds import Bed
from studies.transfer.models import make
from studies.transfer.outcomes import Job, outcomes
from tests.studies.transfer.archives import write_archives
from training.attacks import MIFGSM
from training.attacks.engine.averaging import TemporalGroups


def test_attacks_are_kept_and_shared_ones_do_not_care_when_they_come(tmp_path: Path) -> None:
    """One perturbation for all segments is the same one segment late, up to the box."""
    write_archives(tmp_path)
    bed = Bed(path=str(tmp_path / "report.npz"), train=str(tmp_path / "train.npz"), epochs=3, epsilon=0.2)
    shared = Contender(MIFGSM(steps=2, sharing=TemporalGroups(segments="all", of="perturbation")))
    job = Job(bed, "report", 12, ("plain", "temporal"), 0, shared, tmp_path / "models", tmp_path / "outcomes")
    for name in job.architectures:
        make(job.wish(name))
        make(job.wish(name, "early"))
    found = outcomes(job)
    assert found.same_moments.shape == (2, 2, 12)
    assert found.same_moments.any(), "nothing was fooled, so nothing was measured"
    assert (found.same_moments == found.other_moments).mean() > 0.95
    assert np.array_equal(found.white_box, found.own_right & found.same_moments[np.arange(2), np.arange(2)])
    (kept,) = (tmp_path / "outcomes").glob("*.npz")
    written = kept.stat().st_mtime_ns
    outcomes(job)
    assert kept.stat().st_mtime_ns == written
    for contender in ("MI, 2/K, early-stopped surrogates", "MI, 2/K, all other surrogates"):
        other = outcomes(replace(job, contender=contenders()[contender]))
        assert np.array_equal(other.is_right, found.is_right)
        assert not np.array_equal(other.same_moments, found.same_moments)
