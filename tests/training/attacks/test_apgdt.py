from __future__ import annotations

import pytest
import torch

from tests.training.attacks.linear import LinearClassifier
from tests.training.attacks.patterned import trained_classifier
from tests.training.attacks.targets import Counted
from tests.training.conftest import random_batch
from training.attacks import APGDT
from training.attacks.contest import judged
from training.threat import ThreatModel

SMALL = ThreatModel(video=6 / 255, audio=6 / 255)


def test_fewer_than_four_classes_are_refused(generator: torch.Generator) -> None:
    wanted = "apgdt needs at least 4 classes, the model has 2; use apgd with loss='margin' there"
    with pytest.raises(ValueError, match=wanted):
        APGDT()(LinearClassifier(), random_batch(2), SMALL, generator)


def test_more_targets_never_lower_the_margin() -> None:
    network, clips = trained_classifier()
    margins = [
        judged(network, APGDT(steps=3, num_targets=count)(network, clips, SMALL, torch.Generator()).with_targets(None))
        for count in (1, 2, 4)
    ]
    assert (margins[1] >= margins[0] - 1e-6).all()
    assert (margins[2] >= margins[1] - 1e-6).all()
    assert (margins[2] > margins[0]).any()


def test_there_are_at_most_all_wrong_classes_to_try() -> None:
    """Five classes have four wrong ones: nine targets are the same attack."""
    network, clips = trained_classifier()
    four, nine = (APGDT(steps=2, num_targets=count)(network, clips, SMALL, torch.Generator()) for count in (4, 9))
    assert torch.equal(four.video, nine.video)


def test_clips_that_are_fooled_are_left_out_of_the_next_target() -> None:
    """64 looks, 64 clips times 4 passes for the first target, then 4 passes for those that it has left."""
    network, clips = trained_classifier()
    first = APGDT(steps=3, num_targets=1)(network, clips, SMALL, torch.Generator()).with_targets(None)
    num_left = int((judged(network, first) <= 0).sum())
    assert 0 < num_left < 64
    counted = Counted(network)
    APGDT(steps=3, num_targets=2)(counted, clips, SMALL, torch.Generator())
    assert counted.forward_passes == 64 + 64 * 4 + num_left * 4
