"""What an attack costs: beside the passes it cannot do without, beside torchattacks, in time and in memory."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchattacks
from torch.nn import functional

from benchmarks.memory import peak_kib
from benchmarks.packed import Packed
from benchmarks.row import Row
from preprocessing.schema import ClipFormat
from training.attacks import PGD, TMA
from training.attacks.base import frozen
from training.batch import Batch
from training.crafting import Crafting, craft
from training.models import Classifier, ModelConfig
from training.threat import ThreatModel

ROUNDS = 9
STEPS = 5
NUM_CLIPS = 4
RESTARTS = 4
FORMAT = ClipFormat(num_segments=8, segment_seconds=0.5, frame_size=32, num_mels=32)
THREAT = ThreatModel()
TOO_SMALL = ThreatModel(video=1e-7, audio=1e-7)
"""A budget that fools no clip that is right: with it, who is fooled is decided by the labels."""


def rows() -> list[Row]:
    """Time of a step, of a sampled one, of restarts that leave out fooled clips; time and memory of torchattacks."""
    torch.set_num_threads(1)
    model = small_model()
    clips = random_clips(NUM_CLIPS)
    all_right, half_right = (clips_with_labels(model, clips, every=every) for every in (1, 2))
    generator = torch.Generator().manual_seed(0)
    once, often = PGD(steps=STEPS), PGD(steps=STEPS, restarts=RESTARTS)
    ways: dict[str, Callable[[], object]] = {
        "passes": lambda: bare_passes(model, clips),
        "pgd": lambda: once(model, clips, THREAT, generator),
        "torchattacks": lambda: their_pgd(model, clips),
        "tma": lambda: TMA(steps=STEPS)(model, clips, THREAT, generator),
        "tma_quarter": lambda: craft(
            model, clips, TMA(steps=STEPS), THREAT, generator, crafting=Crafting(sampling_ratio=0.25)
        ),
        "restarts": lambda: often(model, all_right, TOO_SMALL, generator),
        "restarts_half_fooled": lambda: often(model, half_right, TOO_SMALL, generator),
    }
    seconds = measured(ways)
    detail: dict[str, object] = {f"{way}_cpu_ms_per_step": 1000 * value / STEPS for way, value in seconds.items()}
    detail |= {"model": "resnet18-sum-resnet18", "clips": NUM_CLIPS, "segments": FORMAT.num_segments}
    return [
        Row("attack_step_vs_passes", seconds["pgd"] / seconds["passes"], "1.05 or less", detail),
        Row("pgd_vs_torchattacks", seconds["pgd"] / seconds["torchattacks"], "1.00 or less", detail),
        pgd_memory_vs_torchattacks(),
        Row("tma_step_vs_passes", seconds["tma"] / seconds["passes"], "1.15 or less", detail),
        Row("quarter_crafting_vs_full", seconds["tma_quarter"] / seconds["tma"], "0.36 or less", detail),
        Row(
            "restarts_with_half_fooled",
            seconds["restarts_half_fooled"] / seconds["restarts"],
            "0.75 or less",
            detail | {"restarts": RESTARTS, "ratio_of_clips_seen": (1 + (RESTARTS - 1) / 2) / RESTARTS},
        ),
    ]


def small_model() -> Classifier:
    """Two ResNet-18 with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ModelConfig(feature_size=128).build(FORMAT, 31).eval()


def random_clips(num_clips: int) -> Batch:
    """Noise in [0, 1]: what a pass costs does not depend on what is shown."""
    generator = torch.Generator().manual_seed(0)
    clip = (num_clips, FORMAT.num_segments)
    return Batch(
        video=torch.rand(*clip, 3, FORMAT.frame_size, FORMAT.frame_size, generator=generator),
        audio=torch.rand(*clip, FORMAT.num_mels, FORMAT.steps, generator=generator),
        labels=torch.randint(31, (num_clips,), generator=generator),
        keys=tuple(f"clip_{number}" for number in range(num_clips)),
    )


def clips_with_labels(model: Classifier, clips: Batch, *, every: int) -> Batch:
    """The clips with labels of which the model finds one in `every` right."""
    with torch.no_grad():
        seen = model(clips.video, clips.audio).logits.argmax(1)
    labels = (seen + torch.arange(len(clips)) % every) % 31
    return Batch(clips.video, clips.audio, labels, clips.keys)


def bare_passes(model: Classifier, batch: Batch) -> None:
    """As many forward and backward passes to the inputs as the attacks take, without weight gradients."""
    with frozen(model):
        for _ in range(STEPS):
            streams = [batch.video.clone().requires_grad_(), batch.audio.clone().requires_grad_()]
            loss = functional.cross_entropy(model(*streams).logits, batch.labels, reduction="sum")
            torch.autograd.grad(loss, streams)


def their_pgd(model: Classifier, clips: Batch) -> None:
    """torchattacks' PGD with the same budgets, steps and step size, on the packed model; it lets weights take part."""
    packed = Packed(model, THREAT, clips)
    with torch.random.fork_rng():
        attack = torchattacks.PGD(packed, eps=packed.epsilon, alpha=packed.epsilon / 2, steps=STEPS)
        packed.unpack(attack(packed.pack(clips), clips.labels))


def measured(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU seconds of each way, run in turns; the first round only warms up."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS + 1):
        for way, run in ways.items():
            before = time.process_time()
            run()
            seconds[way].append(time.process_time() - before)
    return {way: statistics.median(values[1:]) for way, values in seconds.items()}


def pgd_memory_vs_torchattacks() -> Row:
    """Resident memory that each attack's first call adds to a process that holds model and clips; fresh processes."""
    name, aim = "pgd_memory_vs_torchattacks", "1.00 or less"
    if not Path("/proc/self/status").exists():
        return Row(name, "not measured: this system has no /proc", aim)
    context = multiprocessing.get_context("spawn")
    added: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(3):
        for which, found in added.items():
            with context.Pool(1) as fresh:
                found.append(fresh.apply(added_mib, (which,)))
    ours, theirs = (statistics.median(found) for found in added.values())
    return Row(name, ours / theirs, aim, {"ours_mib": ours, "torchattacks_mib": theirs, "clips": 8 * NUM_CLIPS})


def added_mib(which: str) -> float:
    """By how much the peak of this process grows while it attacks once."""
    torch.set_num_threads(1)
    model, clips = small_model(), random_clips(8 * NUM_CLIPS)
    with torch.no_grad():  # loads what any pass needs
        model(clips.video[:1], clips.audio[:1])
    before = peak_kib(os.getpid())
    if which == "ours":
        PGD(steps=STEPS)(model, clips, THREAT, torch.Generator().manual_seed(0))
    else:
        their_pgd(model, clips)
    return (peak_kib(os.getpid()) - before) / 1024
