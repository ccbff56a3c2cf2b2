from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rich.console import Console

from evaluation.config import EvaluateConfig
from evaluation.planning.estimate import Estimate, Speed, speed_of
from evaluation.planning.plan import measurements_of
from evaluation.run import estimate
from pipeline.settings.load import override
from preprocessing.schema import ClipFormat
from tests.evaluation.evaluations import settings, trained_checkpoint
from training.attacks import APGD
from training.batch import Batch
from training.models import Classifier
from training.passes import Passes


def test_a_backward_pass_takes_time_and_the_model_stays_as_it_was(model: Classifier, few_clips: Batch) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [None if each.grad is None else each.grad.clone() for each in model.parameters()]
    speed = speed_of(model, few_clips, device="this")
    assert speed.forward > 0
    assert speed.backward > 0
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert parameter.requires_grad
        if gradient is None or parameter.grad is None:
            assert gradient is parameter.grad
        else:
            assert torch.equal(gradient, parameter.grad)


def test_time_is_that_of_all_clips_divided_among_the_tasks(config: EvaluateConfig, clip_format: ClipFormat) -> None:
    measurements = measurements_of(config, clip_format)
    found = Estimate(measurements, num_clips=30, num_tasks=3, speed=Speed(2.0, 3.0, "a processor"))
    assert found.seconds(Passes(4, 5)) == 10 * (4 * 2 + 5 * 3)
    assert found.total == pytest.approx(sum(found.seconds(each.cost) for each in measurements))


def test_the_table_tells_every_measurement_and_what_leaves_clips_out(
    config: EvaluateConfig, clip_format: ClipFormat
) -> None:
    config = override(config, {"attacks": (*config.attacks, APGD(steps=9)), "skip_fooled": True})
    measurements = measurements_of(config, clip_format)
    found = Estimate(measurements, 30, 3, Speed(0.5, 1.0, "a processor"), ("tma-10: the model gives no features",))
    console = Console(width=140, record=True, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(found.table())
    text = capture.get()
    assert "30 clips, 3 at a time, on a processor: at most" in text
    assert "apgd-9 (on the clips that are left)" in text
    assert "left out: tma-10: the model gives no features" in text
    assert text.count("│ ") >= len(measurements)


def test_a_plan_measures_a_batch_and_writes_nothing(tiny_dataset: Path, tmp_path: Path) -> None:
    checkpoint = trained_checkpoint(tiny_dataset, tmp_path / "checkpoint")
    found = estimate(settings(checkpoint, tiny_dataset, tmp_path / "report"))
    assert (found.num_clips, found.num_tasks, len(found.measurements)) == (24, 2, 11)
    assert found.total > 0
    assert not (tmp_path / "report").exists()
