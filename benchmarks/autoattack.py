"""The other three of AutoAttack beside those that torchattacks brings: CPU seconds at the same passes and results.

No clip is fooled within the budget, so that neither side leaves one out and both do all of their steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchattacks
from torch import Tensor, nn

from benchmarks.attacks import FORMAT, NUM_CLIPS, TOO_SMALL, clips_with_labels, measured, random_clips, small_model
from benchmarks.packed import Packed
from benchmarks.row import Row
from training.attacks import APGD, FAB, Attack, Square
from training.batch import Batch
from training.models import Classifier
from training.threat import ThreatModel

STEPS = 5
TARGETS = 2
QUERIES = 20
FRAMES_ALONE = ThreatModel(video=TOO_SMALL.video, audio=0.0)
"""Square is about pictures, so both sides search the frames alone."""


def rows() -> list[Row]:
    """APGD, FAB and Square: ours over theirs."""
    torch.set_num_threads(1)
    model = small_model()
    clips = clips_with_labels(model, random_clips(NUM_CLIPS), every=1)
    packed = Packed(model, TOO_SMALL, clips)
    frames = FramesAsChannels(model, clips)
    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "apgd": (
            ours(APGD(steps=STEPS), model, clips, TOO_SMALL),
            theirs(torchattacks.APGD(packed, eps=packed.epsilon, steps=STEPS), packed.pack(clips), clips),
        ),
        "fab": (
            ours(FAB(steps=STEPS, num_targets=TARGETS), model, clips, TOO_SMALL),
            theirs(
                torchattacks.FAB(packed, eps=packed.epsilon, steps=STEPS, multi_targeted=True, n_classes=TARGETS + 1),
                packed.pack(clips),
                clips,
            ),
        ),
        "square": (
            ours(Square(queries=QUERIES), model, clips, FRAMES_ALONE),
            theirs(
                torchattacks.Square(frames, eps=FRAMES_ALONE.video, n_queries=QUERIES), clips.video.flatten(1, 2), clips
            ),
        ),
    }
    seconds = measured(
        {f"{side}_{name}": way for name, both in pairs.items() for side, way in zip(SIDES, both, strict=True)}
    )
    detail: dict[str, object] = {"clips": NUM_CLIPS, "steps": STEPS, "targets": TARGETS, "queries": QUERIES}
    return [
        Row(
            f"{name}_vs_autoattack",
            seconds[f"ours_{name}"] / seconds[f"theirs_{name}"],
            "1.00 or less",
            detail | {f"{side}_cpu_ms": 1000 * seconds[f"{side}_{name}"] for side in SIDES},
        )
        for name in pairs
    ]


SIDES = ("ours", "theirs")


def ours(attack: Attack, model: Classifier, clips: Batch, threat: ThreatModel) -> Callable[[], object]:
    """A call of one of our attacks."""
    generator = torch.Generator().manual_seed(0)
    return lambda: attack(model, clips, threat, generator)


def theirs(attack: torchattacks.attack.Attack, pictures: Tensor, clips: Batch) -> Callable[[], object]:
    """A call of one of theirs, which draws from the global random state."""

    def run() -> Tensor:
        with torch.random.fork_rng():
            perturbed: Tensor = attack(pictures, clips.labels)
            return perturbed

    return run


class FramesAsChannels(nn.Module):
    """Takes the frames of a clip as one picture of many channels, `[batch, segments * 3, height, width]`."""

    def __init__(self, model: Classifier, clips: Batch) -> None:
        super().__init__()
        self.model = model
        self._audio = clips.audio

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of the frames with the sound of as many clips."""
        video = pictures.reshape(len(pictures), FORMAT.num_segments, 3, *pictures.shape[2:])
        logits: Tensor = self.model(video, self._audio[: len(video)]).logits
        return logits
