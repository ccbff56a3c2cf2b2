"""What an attack costs beside the passes it cannot do without."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from benchmarks.row import Row
from preprocessing.schema import ClipFormat
from training.attacks import PGD, TMA
from training.attacks.base import frozen
from training.batch import Batch
from training.crafting import craft
from training.models import Classifier, ModelConfig
from training.threat import ThreatModel

ROUNDS = 9
STEPS = 5
NUM_CLIPS = 4
FORMAT = ClipFormat(num_segments=8, segment_seconds=0.5, frame_size=32, num_mels=32)


def rows() -> list[Row]:
    """One attack step beside one bare forward and backward pass to the inputs; sampled beside full crafting."""
    torch.set_num_threads(1)
    model = ModelConfig(feature_size=128).build(FORMAT, 31).eval()
    batch = random_clips()
    threat = ThreatModel()
    generator = torch.Generator().manual_seed(0)
    ways: dict[str, Callable[[], object]] = {
        "passes": lambda: bare_passes(model, batch),
        "pgd": lambda: PGD(steps=STEPS)(model, batch, threat, generator),
        "tma": lambda: TMA(steps=STEPS)(model, batch, threat, generator),
        "tma_quarter": lambda: craft(model, batch, TMA(steps=STEPS), threat, generator, sampling_ratio=0.25),
    }
    seconds = measured(ways)
    detail: dict[str, object] = {f"{way}_cpu_ms_per_step": 1000 * value / STEPS for way, value in seconds.items()}
    detail |= {"model": "resnet18-sum-resnet18", "clips": NUM_CLIPS, "segments": FORMAT.num_segments}
    return [
        Row("attack_step_vs_passes", seconds["pgd"] / seconds["passes"], "1.05 or less", detail),
        Row("tma_step_vs_passes", seconds["tma"] / seconds["passes"], "1.15 or less", detail),
        Row("quarter_crafting_vs_full", seconds["tma_quarter"] / seconds["tma"], "0.36 or less", detail),
    ]


def random_clips() -> Batch:
    """Noise in [0, 1]: what a pass costs does not depend on what is shown."""
    generator = torch.Generator().manual_seed(0)
    clip = (NUM_CLIPS, FORMAT.num_segments)
    return Batch(
        video=torch.rand(*clip, 3, FORMAT.frame_size, FORMAT.frame_size, generator=generator),
        audio=torch.rand(*clip, FORMAT.num_mels, FORMAT.steps, generator=generator),
        labels=torch.randint(31, (NUM_CLIPS,), generator=generator),
        keys=tuple(f"clip_{number}" for number in range(NUM_CLIPS)),
    )


def bare_passes(model: Classifier, batch: Batch) -> None:
    """As many forward and backward passes to the inputs as the attacks take, without weight gradients."""
    with frozen(model):
        for _ in range(STEPS):
            streams = [batch.video.clone().requires_grad_(), batch.audio.clone().requires_grad_()]
            loss = functional.cross_entropy(model(*streams).logits, batch.labels, reduction="sum")
            torch.autograd.grad(loss, streams)


def measured(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU seconds of each way, run in turns; the first round only warms up."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS + 1):
        for way, run in ways.items():
            before = time.process_time()
            run()
            seconds[way].append(time.process_time() - before)
    return {way: statistics.median(values[1:]) for way, values in seconds.items()}
