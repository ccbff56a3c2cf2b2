"""Whether a training makes a model withstand attacks, which no look at a single loss can tell."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from tests.training.attacks.targets import FORMAT, NUM_CLASSES, classifier
from training.attacks import PGD
from training.batch import Batch
from training.curriculum.curriculum import FullCurriculum
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
    Objective,
    Standard,
    TMACurriculum,
)
from training.objectives.trades import DivergencePGD
from training.threat import ThreatModel

THREAT = ThreatModel(video=0.03, audio=0.03)
GROWING = FullCurriculum.model_validate(
    {
        "attack_steps": {"name": "linear", "start": 1, "end": 3},
        "sampling_ratio": 0.5,
        "other_attacks": [{"attack": {"name": "pgd"}, "share": {"name": "linear", "start": 1, "end": 0}}],
    }
)
DEFENCES: list[Objective] = [
    AWP(objective=PGDAT(attack=PGD(steps=3), threat=THREAT)),
    CRMTAT(threat=ThreatModel(norm="l2", video=0.6, audio=0.4)),
    FastAT(threat=THREAT),
    FreeAT(replays=2, threat=THREAT),
    MART(attack=PGD(steps=3), threat=THREAT),
    NFGSM(threat=THREAT),
    PGDAT(attack=PGD(steps=3), threat=THREAT),
    TMAAT(threat=THREAT),
    TMACurriculum(threat=THREAT, curriculum=GROWING),
    TRADES(attack=DivergencePGD(steps=3), threat=THREAT),
]


def noisy_patterns(num_clips: int, *, seed: int) -> Batch:
    """Clips of all classes in turn: each class has its own faint pattern in picture and sound, under noise."""
    patterns = torch.Generator().manual_seed(0)
    video_pattern = torch.randn(NUM_CLASSES, 1, 3, 8, 8, generator=patterns)
    audio_pattern = torch.randn(NUM_CLASSES, 1, 8, FORMAT.steps, generator=patterns)
    noise = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_clips) % NUM_CLASSES
    video = 0.5 + 0.05 * video_pattern[labels] + 0.1 * torch.randn(num_clips, 4, 3, 8, 8, generator=noise)
    audio = 0.5 + 0.05 * audio_pattern[labels] + 0.1 * torch.randn(num_clips, 4, 8, FORMAT.steps, generator=noise)
    keys = tuple(f"clip_{seed}_{number}" for number in range(num_clips))
    return Batch(video.clamp(0, 1), audio.clamp(0, 1), labels, keys)


def accuracies(objective: Objective, *, num_updates: int = 60) -> tuple[float, float]:
    """Clean accuracy, and accuracy under PGD-10 within `THREAT`, after so many updates on batches of 32 clips."""
    model = classifier("sum", seed=0).float().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    num_batches = num_updates // objective.updates
    for step in range(num_batches):
        clips, seeded = noisy_patterns(32, seed=100 + step), torch.Generator().manual_seed(step)
        for loss in objective.losses(model, clips, progress=step / num_batches, generator=seeded):
            optimizer.zero_grad()
            torch.autograd.backward(loss.total)
            optimizer.step()
    model.eval()
    clean = noisy_patterns(64, seed=1)
    attacked = PGD(steps=10)(model, clean, THREAT, torch.Generator().manual_seed(0))

    def accuracy(clips: Batch) -> float:
        with torch.no_grad():
            return float((model(clips.video, clips.audio).logits.argmax(1) == clips.labels).float().mean())

    return accuracy(clean), accuracy(attacked)


@cache
def undefended() -> tuple[float, float]:
    return accuracies(Standard())


@pytest.mark.slow
@pytest.mark.parametrize("objective", DEFENCES, ids=lambda objective: objective.name)
def test_an_adversarial_objective_buys_robustness_that_standard_training_lacks(objective: Objective) -> None:
    """Sixty updates: standard training withstands about one attack in ten, each defence more than six."""
    clean, robust = accuracies(objective)
    assert undefended()[0] > 0.95
    assert undefended()[1] < 0.3
    assert clean > 0.8
    assert robust > 0.6
