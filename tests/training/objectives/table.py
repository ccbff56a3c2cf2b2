"""Every objective with its cost, and what tests of all of them share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from training.attacks import MIFGSM, PGD, TMA
from training.batch import Batch
from training.crafting import Crafting
from training.curriculum.curriculum import AttackShare, Curriculum, FullCurriculum, StepsCurriculum
from training.curriculum.schedules import Constant, Linear
from training.models import Classifier
from training.objectives import (
    AWP,
    CRMTAT,
    MART,
    NFGSM,
    PGDAT,
    TMAAT,
    TRADES,
    FastAT,
    FreeAT,
    MinSim,
    Mixup,
    Objective,
    Standard,
    TMACurriculum,
)
from training.objectives.base import SingleUpdate
from training.objectives.crafting_objective import CraftingObjective
from training.objectives.crmt_at import JointPGD
from training.objectives.trades import DivergencePGD
from training.passes import Passes
from training.threat import ThreatModel

GROWING = FullCurriculum(
    attack_steps=Linear(start=1, end=3),
    sampling_ratio=Linear(start=0.25, end=1.0),
    mask_ratio=Linear(start=0.0, end=0.5),
    dropout_ratio=Linear(start=0.0, end=0.3),
    epsilon_factor=Linear(start=0.5, end=1.0),
)
MIXED = FullCurriculum(
    attack_steps=Constant(value=2),
    sampling_ratio=Constant(value=0.5),
    mask_ratio=Constant(value=0.25),
    mask_layout="contiguous",
    masking="asynchronous",
    other_attacks=(
        AttackShare(attack=PGD(), share=Constant(value=0.3)),
        AttackShare(attack=MIFGSM(), share=Linear(start=0.0, end=0.5)),
    ),
)
WIDER = Curriculum(sampling_ratio=Linear(start=0.25, end=1.0), epsilon_factor=Linear(start=0.5, end=1.0))
LONGER = StepsCurriculum(
    attack_steps=Linear(start=1, end=3), sampling_ratio=WIDER.sampling_ratio, epsilon_factor=WIDER.epsilon_factor
)
QUARTER = Crafting(sampling_ratio=0.25)
SHARED = Crafting(sampling_ratio=0.5, sharing="gradient")
OBJECTIVES: list[tuple[Objective, Passes, Passes]] = [
    # with the passes per clip of four segments at progress 0 and 1: crafting + loss
    (Standard(), Passes(1, 1), Passes(1, 1)),
    (Mixup(), Passes(1, 1), Passes(1, 1)),
    (MinSim(), Passes(1, 1), Passes(1, 1)),
    (PGDAT(attack=PGD(steps=2)), Passes(2 + 1, 2 + 1), Passes(2 + 1, 2 + 1)),
    (FastAT(), Passes(1 + 1, 1 + 1), Passes(1 + 1, 1 + 1)),
    (NFGSM(), Passes(1 + 1, 1 + 1), Passes(1 + 1, 1 + 1)),
    (FreeAT(replays=3), Passes(3, 3), Passes(3, 3)),
    (TRADES(attack=DivergencePGD(steps=2)), Passes(3 + 2, 2 + 2), Passes(3 + 2, 2 + 2)),
    (MART(attack=PGD(steps=2)), Passes(2 + 2, 2 + 2), Passes(2 + 2, 2 + 2)),
    (CRMTAT(attack=JointPGD(steps=2)), Passes(2 + 1, 2 + 1), Passes(2 + 1, 2 + 1)),
    (
        TMAAT(attack=TMA(steps=2, random_start=True)),
        Passes(2 / 4 + 1, 2 / 4 + 1),
        Passes(2 / 4 + 1, 2 / 4 + 1),
    ),
    # ... and with a sample of the segments: r K passes of crafting
    (
        PGDAT(attack=PGD(steps=2), crafting=QUARTER),
        Passes(2 / 4 + 1, 2 / 4 + 1),
        Passes(2 / 4 + 1, 2 / 4 + 1),
    ),
    (FastAT(crafting=QUARTER), Passes(1 / 4 + 1, 1 / 4 + 1), Passes(1 / 4 + 1, 1 / 4 + 1)),
    (
        FastAT(crafting=Crafting(sampling_ratio=0.5, sharing="none")),
        Passes(1 / 2 + 1, 1 / 2 + 1),
        Passes(1 / 2 + 1, 1 / 2 + 1),
    ),
    (NFGSM(crafting=SHARED), Passes(1 / 2 + 1, 1 / 2 + 1), Passes(1 / 2 + 1, 1 / 2 + 1)),
    (
        TRADES(attack=DivergencePGD(steps=2), crafting=QUARTER),
        Passes(3 / 4 + 2, 2 / 4 + 2),
        Passes(3 / 4 + 2, 2 / 4 + 2),
    ),
    (MART(attack=PGD(steps=2), crafting=SHARED), Passes(2 / 2 + 2, 2 / 2 + 2), Passes(2 / 2 + 2, 2 / 2 + 2)),
    (CRMTAT(attack=JointPGD(steps=2), crafting=SHARED), Passes(2 / 2 + 1, 2 / 2 + 1), Passes(2 / 2 + 1, 2 / 2 + 1)),
    (
        TMACurriculum(curriculum=GROWING, crafting=Crafting(sharing="gradient")),
        Passes(1 / 4 + 1, 1 / 4 + 1),
        Passes(3 + 1, 3 + 1),
    ),
    (TMACurriculum(curriculum=GROWING), Passes(1 / 4 + 1, 1 / 4 + 1), Passes(3 + 1, 3 + 1)),
    (TMACurriculum(curriculum=MIXED), Passes(2 / 2 + 1, 2 / 2 + 1), Passes(2 / 2 + 1, 2 / 2 + 1)),
    # ... and with a curriculum: from one step on a quarter to three on all
    (FastAT(curriculum=WIDER), Passes(1 / 4 + 1, 1 / 4 + 1), Passes(1 + 1, 1 + 1)),
    (
        NFGSM(curriculum=WIDER, crafting=Crafting(sharing="gradient")),
        Passes(1 / 4 + 1, 1 / 4 + 1),
        Passes(1 + 1, 1 + 1),
    ),
    (PGDAT(curriculum=LONGER), Passes(1 / 4 + 1, 1 / 4 + 1), Passes(3 + 1, 3 + 1)),
    (TMAAT(curriculum=LONGER), Passes(1 / 4 + 1, 1 / 4 + 1), Passes(3 + 1, 3 + 1)),
    (TRADES(curriculum=LONGER), Passes(2 / 4 + 2, 1 / 4 + 2), Passes(4 + 2, 3 + 2)),
    (MART(curriculum=LONGER), Passes(1 / 4 + 2, 1 / 4 + 2), Passes(3 + 2, 3 + 2)),
    (CRMTAT(curriculum=LONGER), Passes(1 / 4 + 1, 1 / 4 + 1), Passes(3 + 1, 3 + 1)),
    (AWP(objective=MART(curriculum=LONGER)), Passes(1 / 4 + 4, 1 / 4 + 4), Passes(3 + 4, 3 + 4)),
    (AWP(objective=PGDAT(attack=PGD(steps=2))), Passes(2 + 1 + 1, 2 + 1 + 1), Passes(2 + 1 + 1, 2 + 1 + 1)),
    (
        AWP(objective=TRADES(attack=DivergencePGD(steps=1)), gamma=0.005),
        Passes(2 + 2 + 2, 1 + 2 + 2),
        Passes(2 + 2 + 2, 1 + 2 + 2),
    ),
]


def named(objective: Objective) -> str:
    inner = f"-{objective.objective.name}" if isinstance(objective, AWP) else ""
    grows = isinstance(objective, CraftingObjective) and objective.curriculum in (WIDER, LONGER)
    growing = "-growing" if grows else ""
    mixed = "-mixed" if isinstance(objective, TMACurriculum) and objective.curriculum.other_attacks else ""
    crafting = objective.crafting_at(0.0) if isinstance(objective, CraftingObjective) else None
    sampling = "-sampled" if crafting and crafting.sampling_ratio < 1 else ""
    sharing = f"-{crafting.sharing}" if crafting and crafting.sharing != "perturbation" else ""
    return objective.name + inner + growing + mixed + sampling + sharing


ROWS = [objective for objective, _, _ in OBJECTIVES]
every_objective = pytest.mark.parametrize("objective", ROWS, ids=named)
every_single_update = pytest.mark.parametrize(
    "objective", [row for row in ROWS if isinstance(row, SingleUpdate)], ids=named
)


def run(
    objective: Objective,
    model: nn.Module,
    batch: Batch,
    *,
    progress: float = 0.0,
    seed: int = 3,
    factor: int | float = 1,
) -> list[Tensor]:
    """All losses of a batch, each with its backward pass; the weights stay and the gradients add up.

    `factor` multiplies the losses before they go backward.
    """
    generator = torch.Generator().manual_seed(seed)
    totals = []
    for loss in objective.losses(model, batch, progress=progress, generator=generator):
        torch.autograd.backward(factor * loss.total)
        totals.append(loss.total.detach())
    return totals


def shown(objective: Objective, model: nn.Module, batch: Batch, *, progress: float = 0.0) -> list[Batch]:
    """The clips that the weights learn from: what a model in training mode is given, the last if that is several."""
    found: list[Batch] = []

    def look(module: nn.Module, arguments: tuple[Tensor, Tensor]) -> None:
        if module.training:
            found.append(batch.with_streams(*(stream.detach()[-len(batch) :].clone() for stream in arguments)))

    model.train()
    hook = model.register_forward_pre_hook(look)
    run(objective, model, batch, progress=progress)
    hook.remove()
    return found


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def double(batch: Batch) -> Batch:
    return batch.with_streams(batch.video.double(), batch.audio.double())


def threat_of(objective: Objective) -> ThreatModel | None:
    return getattr(objective, "threat", None)


def normalise_by_batch(model: Classifier) -> nn.BatchNorm2d:
    """Give the model dropout, and batch normalisation, whose statistics move in training mode."""
    statistics = nn.BatchNorm2d(32)
    model.video_encoder.set_submodule("layers.1", statistics)
    model.set_dropout(0.5)
    return statistics
