"""Every objective as three real processes train it, with uneven portions of a batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from preprocessing.schema import ClipFormat
from tests.training.conftest import NUM_CLASSES, random_batch
from tests.training.gloo_workers import GlooWorkers
from tests.training.objectives.table import ROWS, double, gradients, named, normalise_by_batch, run
from training.data import portion
from training.models import Classifier, ModelConfig
from training.models.batch_norm import set_batch_norm
from training.workers.worker import Worker

CLIPS = 7


def fresh_model() -> Classifier:
    """A tiny classifier with batch normalisation and dropout."""
    torch.manual_seed(0)
    config = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16)
    clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
    model = config.build(clip_format, NUM_CLASSES)
    normalise_by_batch(model)
    set_batch_norm(model, "synchronised", "cpu")
    return model.double().train()


def taught(rank: int, world_size: int) -> list[dict[str, Tensor]]:
    """The gradients that each objective leaves at the weights, and the statistics."""
    worker = Worker(rank, world_size, torch.device("cpu"))
    rows = portion(range(CLIPS), rank=rank, world_size=world_size)
    batch = double(random_batch(CLIPS)).select(torch.tensor(rows))
    found = []
    for objective in ROWS:
        model: nn.Module = fresh_model()
        buffers = dict(model.named_buffers())
        if world_size > 1:
            model = DistributedDataParallel(model, forward_sync_buffers=False)
        run(objective, model, batch, factor=worker.loss_factor(len(batch), of=CLIPS), progress=0.5)
        found.append({name.removeprefix("module."): gradient for name, gradient in gradients(model).items()} | buffers)
    return found


@pytest.fixture(scope="module")
def lessons(gloo_workers: GlooWorkers) -> tuple[list[dict[str, Tensor]], list[list[dict[str, Tensor]]]]:
    """What one worker is taught by every objective, and what three are."""
    (alone,) = gloo_workers.run(1, taught)
    return alone, gloo_workers.run(3, taught)


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[named(row) for row in ROWS])
def test_three_workers_teach_the_weights_what_one_would(
    number: int, lessons: tuple[list[dict[str, Tensor]], list[list[dict[str, Tensor]]]]
) -> None:
    """Of three, two and two clips; with statistics of the batch, dropout and all randomness."""
    alone, shared = lessons
    for found in shared:
        assert found[number].keys() == alone[number].keys()
        for name, value in alone[number].items():
            torch.testing.assert_close(found[number][name], value, rtol=1e-6, atol=1e-9, msg=name)
