"""A checkpoint as a program of PyTorch alone (`torch.export`), held against the original before it is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from evaluation.planning.moments import suits
from preprocessing.errors import DataError, SettingsError
from preprocessing.schema import ClipFormat, Split
from preprocessing.settings import Settings
from preprocessing.storage.atomic_file import replacing
from preprocessing.storage.places import Place, require_writable
from preprocessing.storage.records import load_index
from training.batch import Batch
from training.checkpoint import CheckpointInfo, load_identified
from training.data import evaluation_batches
from training.models import Classifier

logger = logging.getLogger(__name__)

ENDING = ".pt2"
CARD_NAME = "card.json"
"""The file inside the program that says what it takes and gives."""


class ExportConfig(Settings):
    """A checkpoint -> a program that needs PyTorch alone, and none of this project's code."""

    output: str = Field(min_length=1)
    """File that receives the program, `.pt2`, the format of `torch.export`."""
    data: Place | None = None
    """Preprocessed data set on whose clips the program is held against the checkpoint; unset = on noise."""
    split: Split = "test"
    """Clips of this split are compared. Any serves, also what it was trained on: two programs are compared, not a model
    and the truth."""
    limit: PositiveInt = 64
    """So many clips are compared."""
    batch_size: PositiveInt = 8
    """Clips per forward pass of the comparison; the program itself takes any number."""
    largest_difference: PositiveFloat = 1e-3
    """Nothing is written if a probability differs by more."""
    seed: int = 0
    """Seed of the noise."""


class Probabilities(nn.Module):
    """A classifier that returns a plain tensor, the classes' probabilities."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(
        self,
        video: Float[Tensor, "batch segments 3 height width"],
        audio: Float[Tensor, "batch segments mels steps"],
    ) -> Float[Tensor, "batch classes"]:
        """Classify frames and log-mel patches in [0, 1]."""
        return torch.softmax(self.classifier(video, audio).logits, 1)


def export(checkpoint: str | Path, config: ExportConfig) -> float:
    """Write the program and return the largest difference of a probability, read back from the file, to the checkpoint.

    Raises:
        UserError: if the checkpoint or data cannot be read, or do not go together, or the program differs.
    """
    require_known_ending(config.output)
    require_writable(Path(config.output).absolute().parent)
    classifier, info, sha256 = load_identified(checkpoint)
    model = Probabilities(classifier).eval()
    clips = compared_clips(config, info)
    program = exported(model, info.clip_format)
    card = {
        "classes": info.classes,
        "clip_format": info.clip_format.model_dump(),
        "model_sha256": sha256,
        "inputs": {name: list(shape) for name, shape in input_shapes(info.clip_format).items()},
        "range": [0.0, 1.0],
    }
    with replacing(Path(config.output)) as temporary:
        torch.export.save(program, temporary, extra_files={CARD_NAME: json.dumps(card)})
        difference, num_clips = compare(model, temporary, clips)
        if not difference <= config.largest_difference:
            raise DataError(
                f"the exported program differs from '{checkpoint}': probabilities by up to {difference:g}, "
                f"{config.largest_difference:g} allowed (largest_difference); nothing was written"
            )
    kind = f"{config.split} clips of '{config.data}'" if config.data else "clips of noise"
    logger.info("wrote '%s': on %d %s probabilities differ by %.1e at most", config.output, num_clips, kind, difference)
    return difference


def require_known_ending(output: str) -> None:
    """Refuse a file of another format, or elsewhere.

    Raises:
        SettingsError: with what is allowed.
    """
    if "://" in output:
        raise SettingsError(f"output='{output}' is a URL; allowed: a file of this machine that ends in {ENDING}")
    if output.lower().endswith(".onnx"):
        raise SettingsError(
            f"output='{output}': ONNX needs the packages onnx and onnxscript, which this project does not bring; write "
            f"{ENDING} and turn that into ONNX where they are installed (docs/how-to/export.md)"
        )
    if not output.endswith(ENDING):
        raise SettingsError(f"output: got '{output}'; allowed: a file that ends in {ENDING}")


def input_shapes(clip_format: ClipFormat) -> dict[str, tuple[int, ...]]:
    """Shapes of frames and log-mel patches of a clip."""
    return {
        "video": (clip_format.num_segments, 3, clip_format.frame_size, clip_format.frame_size),
        "audio": (clip_format.num_segments, clip_format.num_mels, clip_format.steps),
    }


def exported(model: nn.Module, clip_format: ClipFormat) -> torch.export.ExportedProgram:
    """The program of a model, for any number of clips."""
    examples = tuple(torch.zeros(2, *shape) for shape in input_shapes(clip_format).values())
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        return torch.export.export(model, examples, dynamic_shapes={"video": {0: batch}, "audio": {0: batch}})


def compared_clips(config: ExportConfig, info: CheckpointInfo) -> Iterator[Batch]:
    """The clips of a comparison: stored ones, or noise.

    Raises:
        DataError: if stored clips are not of the checkpoint's format.
    """
    if config.data is None:
        generator = torch.Generator().manual_seed(config.seed)
        video, audio = (
            torch.rand(config.batch_size, *shape, generator=generator)
            for shape in input_shapes(info.clip_format).values()
        )
        keys = tuple(map(str, range(config.batch_size)))
        return iter([Batch(video, audio, torch.zeros(config.batch_size, dtype=torch.long), keys)])
    index = load_index(config.data)
    if not suits(info.clip_format, index.format, at_any_moments=False):
        raise DataError(f"the checkpoint takes clips as {info.clip_format}, '{config.data}' stores {index.format}")
    return evaluation_batches(config.data, config.split, batch_size=config.batch_size, limit=config.limit)


def compare(model: nn.Module, program: Path, clips: Iterator[Batch]) -> tuple[float, int]:
    """The largest difference of a probability between a model and a stored program of it, and the number of clips."""
    read = torch.export.load(program).module()
    differences: list[Tensor] = []
    with torch.no_grad():
        for batch in clips:
            differences.append((model(batch.video, batch.audio) - read(batch.video, batch.audio)).abs().amax(1))
    of_clips = torch.cat(differences)
    return float(of_clips.max()), len(of_clips)  # NaN if any is
