from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.training.conftest import random_batch
from training.batch import Batch
from training.models import Classifier, Outputs
from training.objectives import Mixup
from training.objectives.mixup import draw_partners, draw_weights


@pytest.mark.parametrize(("alpha", "spread"), [(1.0, (1 / 12) ** 0.5), (0.2, (1 / 5.6) ** 0.5), (8.0, (1 / 68) ** 0.5)])
def test_weights_follow_the_beta_distribution(alpha: float, spread: float, generator: torch.Generator) -> None:
    """Its mean is 1/2 and its variance 1 / (8 alpha + 4)."""
    keys = tuple(f"clip_{number}" for number in range(1000))
    empty = Batch(torch.empty(1000, 1, 3, 1, 1), torch.empty(1000, 1, 1, 1), torch.zeros(1000, dtype=torch.long), keys)
    weights = draw_weights(empty, alpha, generator)
    assert float(weights.mean()) == pytest.approx(0.5, abs=0.04)
    assert float(weights.std()) == pytest.approx(spread, rel=0.08)


@pytest.mark.parametrize("num_clips", [1, 2, 7])
def test_partners_form_one_ring(num_clips: int, generator: torch.Generator) -> None:
    """Who follows partner after partner meets every clip once; a clip alone is its own partner."""
    partners = draw_partners(tuple(map(str, range(num_clips))), generator).tolist()
    row, met = 0, []
    for _ in range(num_clips):
        row = partners[row]
        met.append(row)
    assert sorted(met) == list(range(num_clips))
    assert row == 0


def test_another_epoch_makes_other_pairs(generator: torch.Generator) -> None:
    keys = tuple(map(str, range(20)))
    assert draw_partners(keys, generator).tolist() != draw_partners(keys, torch.Generator().manual_seed(1)).tolist()


def test_both_modalities_and_the_labels_are_mixed_with_one_weight(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    seen: list[Tensor] = []

    def look(video: Tensor, audio: Tensor) -> Outputs:
        seen.extend((video, audio))
        outputs: Outputs = model(video, audio)
        return outputs

    loss = Mixup().prepare(model, batch, progress=0.0, generator=generator)(look)
    weights, partners = draw_weights(batch, 1.0, generator), draw_partners(batch.keys, generator)
    for stream, mixed in zip((batch.video, batch.audio), seen, strict=True):
        for row, weight in enumerate(weights):
            torch.testing.assert_close(mixed[row], weight * stream[row] + (1 - weight) * stream[partners[row]])
    logits = model(*seen).logits
    targets = torch.zeros_like(logits)
    for row, weight in enumerate(weights):
        targets[row, batch.labels[row]] += weight
        targets[row, batch.labels[partners[row]]] += 1 - weight
    torch.testing.assert_close(loss.total, functional.cross_entropy(logits, targets))


def test_both_labels_of_a_mixture_are_smoothed(model: Classifier, generator: torch.Generator) -> None:
    """At p = (1/2, 1/4, 1/8, 1/8) label 0 costs 1.5 ln 2, label 1 (0.1 + 1.4 + 0.3 + 0.3) ln 2 = 2.1 ln 2."""
    pair = replace(random_batch(2), labels=torch.tensor([0, 1]))
    first, second = draw_weights(pair, 1.0, generator).tolist()
    shares = torch.tensor([0.5, 0.25, 0.125, 0.125])
    loss = Mixup(label_smoothing=0.4).prepare(model, pair, progress=0.0, generator=generator)(
        lambda video, audio: Outputs(shares.log().expand(2, 4))
    )
    costs = (first * 1.5 + (1 - first) * 2.1, second * 2.1 + (1 - second) * 1.5)
    assert float(loss.total) == pytest.approx(sum(costs) / 2 * math.log(2))


def test_a_clip_mixed_with_itself_is_itself(model: Classifier, generator: torch.Generator) -> None:
    alone = random_batch(1)
    loss = Mixup().prepare(model, alone, progress=0.0, generator=generator)(model)
    torch.testing.assert_close(
        loss.total, functional.cross_entropy(model(alone.video, alone.audio).logits, alone.labels)
    )


def test_clips_of_one_class_keep_their_label(model: Classifier, batch: Batch, generator: torch.Generator) -> None:
    """Whatever the weights, the accuracy is then that of plain labels: 0 or 1 per clip."""
    same = replace(batch, labels=torch.full_like(batch.labels, 2))
    loss = Mixup().prepare(model, same, progress=0.0, generator=generator)(model)
    assert float(loss.parts["accuracy"]) * 7 == pytest.approx(round(float(loss.parts["accuracy"]) * 7), abs=1e-5)
