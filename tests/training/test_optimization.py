from __future__ import annotations

import pytest
import torch

from preprocessing.schema import ClipFormat
from training.models import Classifier, ModelConfig
from training.optimization import OptimizerConfig, WeightAverage


def model() -> Classifier:
    config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16)
    return config.build(ClipFormat(num_segments=2, segment_seconds=0.16, frame_size=16, num_mels=16), 3)


def test_one_cycle_rises_and_falls_in_straight_lines() -> None:
    """Up over the first 0.4; then a third of the way down after a third of what is left."""
    optimizer = OptimizerConfig(learning_rate=0.6, schedule="one_cycle", warmup=0.4)
    rates = [optimizer.rate_at(progress) for progress in (0.0, 0.2, 0.4, 0.6, 1.0)]
    assert rates == pytest.approx([0.0, 0.3, 0.6, 0.4, 0.0])


def test_averaged_weights_follow_the_model_and_soon_forget_where_it_began() -> None:
    """The first step is taken over; then d is 2/11 and 3/12: 1, (2 + 9 x 2)/11 = 20/11, (20/11 + 3 x 3)/4 = 119/44."""
    moving = model()
    average = WeightAverage(moving, decay=0.9)
    weight = next(moving.parameters())
    found = []
    for value in (1.0, 2.0, 3.0):
        with torch.no_grad():
            weight.fill_(value)
        average.follow(moving)
        found.append(float(next(average.model.parameters()).detach().flatten()[0]))
    assert found == pytest.approx([1.0, 20 / 11, 119 / 44])


def test_a_long_average_keeps_the_share_that_was_asked_for() -> None:
    """After 1,000 steps at 0 the next one at 1 counts a hundredth."""
    moving = model()
    weight = next(moving.parameters())
    average = WeightAverage(moving, decay=0.99)
    with torch.no_grad():
        next(average.model.parameters()).zero_()
        weight.fill_(1.0)
    average.go_on(1000)
    average.follow(moving)
    assert float(next(average.model.parameters()).detach().flatten()[0]) == pytest.approx(0.01)
    assert average.steps == 1001


def test_the_average_follows_without_reading_a_number_from_the_device() -> None:
    """Tensors on torch's `meta` device have no values: to read one fails, where on a GPU it would wait."""
    moving = model().to("meta")
    average = WeightAverage(moving, decay=0.9)
    average.go_on(10)
    for _ in range(2):
        average.follow(moving)
    assert average.steps == 12


def test_the_averaged_model_has_the_batch_statistics_of_the_model() -> None:
    config = ModelConfig(video_encoder="resnet18", audio_encoder="tiny", feature_size=16)
    moving = config.build(ClipFormat(num_segments=2, segment_seconds=0.16, frame_size=16, num_mels=16), 3)
    average = WeightAverage(moving, decay=0.9)
    for value in (1.0, 2.0):
        for statistic in moving.buffers():
            statistic.fill_(value)
        average.follow(moving)
    assert all(bool((statistic == 2.0).all()) for statistic in average.model.buffers())
