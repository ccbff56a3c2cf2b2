"""README's examples: the commands of each, and what makes them small."""

from __future__ import annotations

from tests.docs.pages import ROOT, pipeline_commands

README = ROOT / "README.md"
SMALL = {
    "preprocess": ["format.segment_seconds=0.5", "format.frame_size=32", "format.num_mels=32", "shard_size=10"],
    "train": [
        "model={video_encoder: tiny, audio_encoder: tiny, feature_size: 16}",
        "epochs=2",
        "batch_size=8",
        "validation.attacks=[{name: fgsm}]",
    ],
    "evaluate": [
        "attacks=[{name: fgsm}, {name: pgd, steps: 2}]",
        "reference_attack={name: pgd, steps: 2}",
        "curve=[0, 1]",
        "num_resamples=50",
    ],
}
"""What each command of the examples gets besides, so that they take seconds."""


def commands_of(example: str) -> list[list[str]]:
    """The commands of one example, told by the folder that it writes into."""
    commands = [words for words in pipeline_commands(README) if words[0] != "settings"]
    return [words for words in commands if f"runs/{example}/" in " ".join(words)]


def made_small(words: list[str]) -> list[str]:
    """The same command on fewer clips and with small settings; of Kinetics-Sounds, whose clips are longer, too."""
    of_ks = ["format.num_segments=4"] * (words[0] == "preprocess" and "runs/ks/" in " ".join(words))
    return [*(word.replace("clips=20", "clips=4") for word in words), *SMALL.get(words[0], []), *of_ks]
