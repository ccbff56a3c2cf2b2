"""The settings of an evaluation."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from preprocessing.schema import Split
from preprocessing.settings import Settings
from preprocessing.storage.places import Place
from training.attacks import APGD, FGSM, MIFGSM, MMA, PGD, TIA, TMA, AnyAttack, Attack
from training.threat import ThreatModel


class CheckLimits(Settings):
    """The limits at which a check for gradient masking fires: the worst-case robust accuracy, the headline number, is
    then withheld."""

    significance: float = Field(default=0.01, gt=0, lt=0.5)
    """A difference counts only if chance alone would show it more rarely than this (exact test over paired clips)."""
    min_effect: float = Field(default=0.02, ge=0, lt=1)
    """A difference counts only if it is larger than this share of the clips."""
    max_zero_gradient_share: float = Field(default=0.05, ge=0, lt=1)
    """Clips that may have no usable input gradient although the model looks at that modality."""
    max_forward_difference: PositiveFloat = 1e-4
    """Largest difference between the logits of two passes over the same clip, in units of their spread."""


class EvaluateConfig(Settings):
    """An evaluation: a checkpoint, the clips it is measured on, the threat and the attacks."""

    checkpoint: str = Field(min_length=1)
    """Folder of a checkpoint."""
    data: Place
    """Preprocessed data set: a folder or any fsspec URL."""
    output: str = Field(min_length=1)
    """Folder that receives report.json, report.html and certificates.parquet."""
    threat: ThreatModel = ThreatModel()
    """The rules that every attack of the list keeps to; the headline number, the worst-case robust accuracy, holds for
    them alone."""
    attacks: tuple[AnyAttack, ...] = Field(
        default=(
            FGSM(),
            PGD(steps=20),
            PGD(steps=20, loss="margin"),
            APGD(steps=30, loss="margin"),
            MIFGSM(),
            TIA(),
            MMA(),
            TMA(),
        ),
        min_length=1,
    )
    """Attacks under `threat`. The worst case is the per-clip minimum over all of them."""
    reference_attack: AnyAttack = PGD(steps=20)
    """The attack behind the curve over epsilon, the single modalities, and the check that with budgets without a limit
    no clip withstands it."""
    curve: tuple[NonNegativeFloat, ...] = Field(default=(0.0, 0.25, 0.5, 1.0, 2.0, 4.0), min_length=1)
    """Points of the curve over epsilon, as factors of `threat`; rising."""
    split: Split = "test"
    """Clips of this split are measured."""
    limit: PositiveInt | None = None
    """Measure only the first so many clips; unset = all."""
    batch_size: PositiveInt = 32
    """Clips per forward pass. It sets the memory that is needed and the speed, and changes no result."""
    workers: PositiveInt = 2
    """Ray tasks among which the clips are divided. Their number changes nothing in the results, bit for bit."""
    cpus_per_worker: PositiveInt = 1
    """Processor cores, and so threads, of a task."""
    gpus_per_worker: NonNegativeFloat = 0.0
    """GPUs of a task; 0 = processor only."""
    max_wait_minutes: PositiveFloat | None = 30.0
    """Minutes that the evaluation waits for a node that can run a task; null = without end. What the cluster can never
    have is refused at once."""
    num_resamples: PositiveInt = 2000
    """Bootstrap draws behind each interval."""
    checks: CheckLimits = CheckLimits()
    """The limits beyond which the headline number is withheld."""
    seed: int = 0
    """Seed of random starts (per clip) and of the bootstrap."""

    @model_validator(mode="after")
    def _attacks_are_told_apart(self) -> EvaluateConfig:
        labels = [attack_label(attack) for attack in self.attacks]
        repeated = sorted({label for label in labels if labels.count(label) > 1})
        if repeated:
            raise ValueError(f"attacks: {', '.join(repeated)} is listed more than once; remove the repetition")
        if list(self.curve) != sorted(set(self.curve)):
            raise ValueError(f"curve: factors must rise without repetition, got {list(self.curve)}")
        if self.threat.video == 0 and self.threat.audio == 0:
            raise ValueError("threat: both epsilons are 0, so there is nothing to measure; raise one of them")
        return self


def attack_label(attack: Attack) -> str:
    """A short name that tells an attack's settings apart: `pgd-20 margin` has 20 steps and the loss `margin`.

    Letters, digits, `_ - .` and spaces only, so that it can name a metric.
    """
    steps = getattr(attack, "steps", None)
    return " ".join([attack.name + (f"-{steps}" if steps is not None else ""), *_differences(attack)])


def _differences(settings: Settings) -> list[str]:
    """The settings that are not the defaults, each with its name unless its value is a word that says enough."""
    words = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name in ("name", "steps") or value == field.default:
            continue
        if isinstance(value, Attack):
            words += [attack_label(value).replace(" ", "_")]
        elif isinstance(value, Settings):
            words += [name, *_differences(value)]
        elif isinstance(value, tuple):
            words += [attack_label(each).replace(" ", "_") if isinstance(each, Attack) else str(each) for each in value]
        else:
            words += [value] if isinstance(value, str) else [name, str(value)]
    return words
