from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.stored.changes import allowed_distance
from evaluation.stored.perturbations import (
    PERTURBATIONS_NAME,
    SCHEMA,
    Perturbation,
    read_perturbations,
    sampled_keys,
    write_perturbations,
)
from preprocessing.errors import DataError
from training.attacks import PGD
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel

THREATS = ["linf(video=4/255, audio=4/255)", "l2(video=0.5, audio=0.3)", "linf(video=1, segments=1)"]


@pytest.mark.parametrize("text", THREATS)
def test_what_is_stored_stays_inside_and_comes_back_bit_for_bit(
    text: str, model: Classifier, few_clips: Batch, tmp_path: Path
) -> None:
    """Rounding moves each value towards the clean one, by less than a 30,000th of the clip's largest change."""
    threat = ThreatModel.model_validate(text)
    perturbed = PGD(steps=2)(model, few_clips, threat, torch.Generator())
    perturbation = Perturbation.of(perturbed, few_clips)
    judged = perturbation.applied(few_clips, threat)
    for name in ("video", "audio"):
        change, before = (each.stream(name) - few_clips.stream(name) for each in (judged, perturbed))
        assert (threat.length(change) <= allowed_distance(threat.epsilon(name))).all()
        assert ((change - before).abs() <= before.abs().max() / 30_000 + 1e-7).all()
        assert judged.stream(name).min() >= 0
        assert judged.stream(name).max() <= 1
    spared = ~threat.support(few_clips.video).expand_as(few_clips.video)
    assert torch.equal(judged.video[spared], few_clips.video[spared])

    chosen = few_clips.keys[3:9:2]
    table = perturbation.table(few_clips.keys, chosen=chosen, attack="pgd-2", threat=threat)
    write_perturbations(tmp_path / PERTURBATIONS_NAME, [table.slice(0, 1), table.slice(1)])
    rows = list(read_perturbations(tmp_path / PERTURBATIONS_NAME))
    assert [row["key"] for row in rows] == list(chosen)
    clean = few_clips.select(torch.arange(3, 9, 2))
    again = Perturbation.from_rows(rows, clean).applied(clean, threat)
    assert torch.equal(again.video, judged.video[3:9:2])
    assert torch.equal(again.audio, judged.audio[3:9:2])


def test_a_stored_perturbation_of_another_shape_is_refused(few_clips: Batch) -> None:
    table = Perturbation.of(few_clips, few_clips).table(
        few_clips.keys, chosen=few_clips.keys[:1], attack="none", threat=ThreatModel()
    )
    row = table.to_pylist()[0] | {"video": b"12"}
    with pytest.raises(
        DataError, match=rf"clip '{few_clips.keys[0]}' has 1 values, the clip {few_clips.video[0].numel()}"
    ):
        Perturbation.from_rows([row], few_clips.select(torch.arange(1)))


def test_the_sample_hangs_on_the_seed_and_not_on_the_order() -> None:
    keys = [f"clip {number}" for number in range(100)]
    sample = sampled_keys(keys, num_clips=8, seed=0)
    assert len(sample) == 8
    assert sampled_keys(keys[::-1], num_clips=8, seed=0) == sample
    assert sampled_keys(keys, num_clips=8, seed=1) != sample
    assert sampled_keys(keys, num_clips=None, seed=0) == frozenset(keys)
    assert sampled_keys(keys, num_clips=0, seed=0) == frozenset()


def test_another_table_is_no_table_of_perturbations(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no table")
    with pytest.raises(DataError, match="cannot be read as a table of perturbations"):
        list(read_perturbations(tmp_path / "text"))
    assert SCHEMA.names[:3] == ["key", "attack", "threat"]
