"""Several workers learn what one learns: weights after ten steps of each model, by real processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from preprocessing.schema import ClipFormat
from tests.training.gloo_workers import GlooWorkers
from training.attacks import PGD
from training.batch import Batch
from training.config import TrainConfig
from training.curriculum.curriculum import AttackShare, FullCurriculum, StepsCurriculum
from training.curriculum.schedules import Constant, Linear
from training.data import portion
from training.epoch import Step, learn
from training.learner import Learner
from training.models import ModelConfig
from training.models.batch_norm import BatchNorm
from training.models.encoders import EncoderName
from training.models.fusion import FusionName
from training.objectives import TRADES, Objective, Standard, TMACurriculum
from training.optimization import OptimizerConfig
from training.workers.worker import Worker

STEPS, CLIPS, SEGMENTS, CLASSES, WIDTH = 10, 16, 2, 4, 8
SIZES: dict[EncoderName, int] = {"tiny": 8, "resnet18": 16, "vgg11": 32, "alexnet": 63}
"""Pixels, mel bands and steps that an encoder is shown."""
CURRICULUM = TMACurriculum(
    curriculum=FullCurriculum(
        attack_steps=Constant(value=2),
        sampling_ratio=Constant(value=0.5),
        mask_ratio=Constant(value=0.5),
        dropout_ratio=Linear(start=0.1, end=0.4),
        other_attacks=(AttackShare(attack=PGD(), share=Constant(value=0.3)),),
    )
)
PEER = TRADES(
    curriculum=StepsCurriculum(
        attack_steps=Linear(start=1, end=2),
        sampling_ratio=Linear(start=0.5, end=1.0),
        epsilon_factor=Linear(start=0.5, end=1.5),
    )
)


@dataclass(frozen=True)
class Training:
    """Ten steps on sixteen clips each, in double precision."""

    encoder: EncoderName
    """Of frames."""
    fusion: FusionName
    objective: Objective
    audio_encoder: EncoderName = "tiny"
    batch_norm: BatchNorm = "synchronised"

    def __str__(self) -> str:
        return f"{self.encoder}-{self.fusion}-{self.audio_encoder}-{self.objective.name}"

    @property
    def size(self) -> int:
        """Pixels, mel bands and steps."""
        return SIZES[self.encoder]

    def config(self, workers: int) -> TrainConfig:
        model = ModelConfig(
            video_encoder=self.encoder, audio_encoder=self.audio_encoder, fusion=self.fusion, feature_size=WIDTH
        )
        return TrainConfig(
            data="unused",
            output="unused",
            model=model,
            epochs=1,
            batch_size=CLIPS,
            batch_norm=self.batch_norm,
            objective=self.objective,
            optimizer=OptimizerConfig(learning_rate=1e-2, average_decay=0.9),
            workers=workers,
        )

    def learner(self, workers: int) -> Learner:
        config = self.config(workers)
        clip_format = ClipFormat(
            num_segments=SEGMENTS, segment_seconds=self.size / 100, frame_size=self.size, num_mels=self.size
        )
        torch.manual_seed(config.seed)
        classifier = config.build_model(clip_format, CLASSES)
        for name, encoder in (
            (self.encoder, classifier.video_encoder),
            (self.audio_encoder, classifier.audio_encoder),
        ):
            if name != "tiny":
                narrow(encoder)
        classifier.double().train()
        model = DistributedDataParallel(classifier, forward_sync_buffers=False) if workers > 1 else classifier
        return Learner(model, config.optimizer.build(classifier), config.optimizer.build_average(classifier))

    def batch(self, step: int) -> Batch:
        """Noise around a level of the clip's class, so that there is something to learn."""
        source = torch.Generator().manual_seed(step)
        labels = torch.randint(CLASSES, (CLIPS,), generator=source)
        shape = (CLIPS, SEGMENTS, 3, self.size, self.size)
        noise = torch.rand(shape, generator=source, dtype=torch.float64)
        video = 0.5 * noise + 0.1 * labels.reshape(-1, 1, 1, 1, 1)
        return Batch(video, 1 - video[:, :, 0], labels, tuple(f"clip_{step}_{row}" for row in range(CLIPS)))


def narrow(encoder: nn.Module) -> None:
    """Give an encoder of torchvision's 8 channels and units where it has more."""
    flattened = {9216: 6 * 6 * WIDTH, 25088: 7 * 7 * WIDTH}
    for name, layer in list(encoder.named_modules()):
        if isinstance(layer, nn.Conv2d):
            channels = min(layer.in_channels, WIDTH), min(layer.out_channels, WIDTH)
            kernel, stride, padding = (
                cast(tuple[int, int], each) for each in (layer.kernel_size, layer.stride, layer.padding)
            )
            slim: nn.Module = nn.Conv2d(*channels, kernel, stride, padding, bias=layer.bias is not None)
            nn.init.kaiming_normal_(cast(nn.Conv2d, slim).weight)
        elif isinstance(layer, _BatchNorm):
            slim = type(layer)(min(layer.num_features, WIDTH))
        elif isinstance(layer, nn.Linear):
            num_inputs = flattened.get(layer.in_features, min(layer.in_features, WIDTH))
            slim = nn.Linear(num_inputs, min(layer.out_features, WIDTH))
            nn.init.kaiming_normal_(slim.weight)
        else:
            continue
        encoder.set_submodule(name, slim)


def state_of(learner: Learner) -> dict[str, Tensor]:
    """Weights and statistics, averaged and not."""
    found = {name: value.clone() for name, value in learner.classifier.state_dict().items()}
    return found | {f"average of {name}": value for name, value in learner.exported_model.state_dict().items()}


def learnt(rank: int, world_size: int, training: Training) -> dict[str, Tensor]:
    """The state after ten steps of one of the workers."""
    config, learner = training.config(world_size), training.learner(world_size)
    worker = Worker(rank, world_size, torch.device("cpu"))
    for number in range(STEPS):
        rows = torch.tensor(portion(range(CLIPS), rank=rank, world_size=world_size))
        batch = training.batch(number).select(rows)
        for _ in learn(config, learner, batch, worker, step=Step(0, number, STEPS)):
            pass
    learner.average_statistics()
    return state_of(learner)


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((value.double() - other[name].double()).abs().max()) for name, value in one.items())


QUICK = [
    Training("tiny", "film", CURRICULUM),
    Training("resnet18", "sum", CURRICULUM),
    Training("resnet18", "concat", PEER),
    Training("alexnet", "concat", Standard()),
]
REST = [
    training
    for encoder in get_args(EncoderName)
    for fusion in get_args(FusionName)
    for objective in (Standard(), CURRICULUM)
    if (training := Training(encoder, fusion, objective, audio_encoder=encoder)) not in QUICK
]


@pytest.mark.parametrize("training", [*QUICK, *(pytest.param(each, marks=pytest.mark.slow) for each in REST)], ids=str)
def test_two_three_and_four_workers_learn_what_one_learns(training: Training, gloo_workers: GlooWorkers) -> None:
    """Three of them have 6, 5 and 5 clips. Ten steps move every weight, and some by a hundredth at least."""
    (alone,) = gloo_workers.run(1, learnt, training)
    fresh = state_of(training.learner(1))
    assert not any(torch.equal(value, fresh[name]) for name, value in alone.items())
    assert largest_difference(alone, fresh) > 0.01
    for num_workers in (2, 3, 4):
        for found in gloo_workers.run(num_workers, learnt, training):
            assert found.keys() == alone.keys()
            assert largest_difference(alone, found) < 1e-9, num_workers


def test_statistics_of_their_own_are_another_training(gloo_workers: GlooWorkers) -> None:
    """As it is with `batch_norm=local`: the difference that the table would show."""
    training = Training("resnet18", "gated", Standard(), batch_norm="local")
    (alone,) = gloo_workers.run(1, learnt, training)
    for found in gloo_workers.run(2, learnt, training):
        assert largest_difference(alone, found) > 1e-3
