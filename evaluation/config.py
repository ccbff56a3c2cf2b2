"""The settings of an evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from evaluation.attack_lists import ATTACK_LISTS, AttackList, NamedAttack, attack_label
from preprocessing.schema import Split
from preprocessing.settings import Settings
from preprocessing.storage.places import Place
from training.attacks import MIFGSM, PGD, TSI, Square
from training.models.foreign import ModelInput
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
    min_gradient_left: float = Field(default=1e-4, gt=0, lt=1)
    """Share of the untouched clip's gradient below which none is left on the way of an attack: what remains of a slope
    that cancels is rounding, 1e-7 of it."""
    max_forward_difference: PositiveFloat = 1e-4
    """Largest difference between the logits of two passes over the same clip, in units of their spread."""
    max_companion_difference: PositiveFloat = 1e-3
    """Largest difference between the logits of a clip alone and among others, in units of their spread."""
    min_alignment: float = Field(default=0.25, gt=0, lt=1)
    """The gradient misleads on a clip where a step along it keeps less of its promise than this, over random steps."""
    max_smoothing_gain: float = Field(default=2.0, gt=1)
    """It misleads as well where the mean of the gradients of points nearby leads more than so many times as high."""
    max_misled_share: float = Field(default=0.1, ge=0, lt=1)
    """Clips that the gradient may mislead."""


MACHINE_SETTINGS = frozenset(
    (
        *("checkpoint", "weights", "surrogates", "data", "moments", "output", "plan"),
        *("workers", "gpu", "gpus_per_worker", "cpus_per_worker", "max_wait_minutes"),
    )
)
"""Settings that say where and on what an evaluation runs: they decide no number."""


class EvaluateConfig(Settings):
    """An evaluation: a checkpoint, the clips it is measured on, the threat and the attacks."""

    checkpoint: str | None = Field(default=None, min_length=1)
    """Folder of a checkpoint."""
    model: str | None = None
    """In its place, a model of another maker: `package.module:factory`, a class or a function that returns a
    `torch.nn.Module`, called with `num_classes` and `clip_format` if it takes them."""
    weights: str | None = None
    """Weights of `model`: a .safetensors file, or one of `torch.save` with tensors alone; unset = as it is made."""
    model_input: ModelInput = ModelInput()
    """The form in which `model` takes frames and audio."""
    data: Place
    """Preprocessed data set: a folder or any fsspec URL."""
    moments: Place | None = None
    """For a threat with `moments=other`: the same clips stored at the moments at which the model samples them, such as
    with another `format.offset`. Attacks are made on the clips of `data` and judged on these, paired by key."""
    output: str = Field(min_length=1)
    """Folder that receives report.json, report.html and certificates.parquet."""
    threat: ThreatModel = ThreatModel()
    """The rules that every attack of the list keeps to; the headline number, the worst-case robust accuracy, holds for
    them alone."""
    attacks: AttackList = Field(default=ATTACK_LISTS["default"], min_length=1)
    """Attacks under `threat`: a list, or the name of one (`quick`, `default`, `standard` with the four of AutoAttack at
    full strength, `paper`). The worst case is the per-clip minimum over all of them. Those that cannot be run on the
    model, for want of features or classes, are left out with a line that says so."""
    skip_fooled: bool = False
    """Attacks dearer than `reference_attack` leave out the clips that an earlier attack of the list has fooled. The
    worst case stays the same, and costs less; of such an attack the report then tells what is left after it, not what
    it would have done alone. An attack that follows gradients is only ever spared clips that another one of its kind
    has fooled, so that the checks for gradient masking lose nothing."""
    surrogates: tuple[str, ...] = ()
    """Folders of checkpoints of other models for the same classes and clips. Each of `transfer_attacks` is crafted on
    each and tried on the checkpoint; the worst case contains them. An attack that works better so than by the
    checkpoint's own gradient tells that this gradient misleads."""
    transfer_attacks: AttackList = Field(default=(MIFGSM(), TSI()), min_length=1)
    """Attacks that are crafted on the surrogates, under `threat`: a list, or the name of one. MI-FGSM carries over to
    models with the same encoders, TSI to models that see differently."""
    eot_samples: PositiveInt = 1
    """Passes over the same clip whose gradients every step of an attack averages (expectation over transformation,
    arXiv:1802.00420, Section 4.2): for models that are not deterministic. It multiplies the cost of all attacks."""
    reference_attack: NamedAttack = PGD(steps=20)
    """The attack that is run on every clip at every point of the curve over epsilon, in each single modality, and with
    budgets without a limit, where no clip may withstand it. The checks for gradient masking look at it alone."""
    curve_attacks: AttackList = (PGD(steps=20, loss="margin"), Square(queries=25))
    """Attacks that join it on the curve and in the single modalities: a list, or the name of one. They run on the clips
    that are still standing, for what falls to a smaller budget falls to a larger one. Each point is the worst case of
    all that lies inside it, and under `threat` itself of the whole list. Empty = the reference attack and the list."""
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
    gpu: bool | None = None
    """Each task gets a GPU, or none does; unset = if the cluster has any or can add nodes that have."""
    gpus_per_worker: float = Field(default=1.0, gt=0)
    """GPUs of each task, if it gets any: 0.25 lets four tasks work on one."""
    cpus_per_worker: PositiveInt = 1
    """Processor cores, and so threads, of a task."""
    max_wait_minutes: PositiveFloat | None = 30.0
    """Minutes that the evaluation waits for a node that can run a task; null = without end. What the cluster can never
    have is refused at once."""
    stored_perturbations: NonNegativeInt | None = 8
    """Clips whose perturbations are stored, those of every attack, so that `verify` can try them on the model again: so
    many, chosen by hashes of `seed` and key; null = all. A clip takes up to 2 bytes per value and attack."""
    num_resamples: PositiveInt = 2000
    """Bootstrap draws behind each interval."""
    checks: CheckLimits = CheckLimits()
    """The limits beyond which the headline number is withheld."""
    seed: int = 0
    """Seed of random starts (per clip) and of the bootstrap."""
    plan: bool = False
    """Only say what it would cost: the passes of every attack, and the time of all, from one batch really measured."""

    def fingerprint(self) -> dict[str, object]:
        """Settings that decide the certificates, beside the model's weights and the data's content."""
        return self.model_dump(mode="json", exclude=set(MACHINE_SETTINGS | {"num_resamples", "checks"}))

    @model_validator(mode="after")
    def _names_one_model(self) -> EvaluateConfig:
        if self.checkpoint is not None and self.model is not None:
            raise ValueError("checkpoint and model name two models; leave one of them out")
        if self.model is None and (self.weights is not None or self.model_input != ModelInput()):
            raise ValueError("weights and model_input are for model=package.module:factory; a checkpoint has its own")
        return self

    @property
    def measured(self) -> str:
        """The data set on whose clips success is measured."""
        return self.moments or self.data

    def with_measured_at(self, place: str | None) -> EvaluateConfig:
        """The same settings with the place where that data set is now; None = where it was."""
        return self.model_copy(update={"moments" if self.moments else "data": place} if place else {})

    @model_validator(mode="after")
    def _moments_are_there(self) -> EvaluateConfig:
        require_moments(self.threat, self.moments)
        return self

    @model_validator(mode="after")
    def _attacks_are_told_apart(self) -> EvaluateConfig:
        for setting, attacks in (
            ("attacks", self.attacks),
            ("curve_attacks", self.curve_attacks),
            ("transfer_attacks", self.transfer_attacks),
        ):
            labels = [attack_label(attack) for attack in attacks]
            if repeated := sorted({label for label in labels if labels.count(label) > 1}):
                raise ValueError(f"{setting}: {', '.join(repeated)} is listed more than once; remove the repetition")
        folders = [str(PurePath(folder)) for folder in self.surrogates]
        if repeated := sorted({folder for folder in folders if folders.count(folder) > 1}):
            raise ValueError(f"surrogates: {', '.join(repeated)} is listed more than once; remove the repetition")
        if list(self.curve) != sorted(set(self.curve)):
            raise ValueError(f"curve: factors must rise without repetition, got {list(self.curve)}")
        if self.threat.video == 0 and self.threat.audio == 0:
            raise ValueError("threat: both epsilons are 0, so there is nothing to measure; raise one of them")
        return self


def require_moments(threat: ThreatModel, moments: str | None) -> None:
    """Refuse a threat that hides the model's moments without clips at them, and such clips without such a threat.

    Raises:
        ValueError: with what to add or to leave out.
    """
    if threat.moments == "other" and moments is None:
        raise ValueError(
            f"threat={threat} hides from the attacker the moments at which the model samples, but no clips at such "
            "moments are given: add moments=DIR, the clips of data stored a second time with another format.offset"
        )
    if threat.moments == "known" and moments is not None:
        raise ValueError(
            f"moments={moments} names clips at moments that an attacker does not know, but threat={threat} is about "
            "known ones: write moments=other into the threat, or leave moments=DIR out"
        )


def surrogate_names(folders: Sequence[str]) -> tuple[str, ...]:
    """A name for each checkpoint: as much of the end of its path as tells them apart, letters, digits and `_ - .`.

    A last folder that is called `checkpoint`, as those of trainings are, says nothing and is left out. A single one is
    the `surrogate`, so that reports of models that are attacked from each other have attacks of the same names.
    """
    return ("surrogate",) if len(folders) == 1 else names_of_folders(folders)


def names_of_folders(folders: Sequence[str]) -> tuple[str, ...]:
    """The same, also of a single one."""
    paths = [PurePath(folder) for folder in folders]
    paths = [path.parent if path.name == "checkpoint" and path.parent.name else path for path in paths]
    parts = [[re.sub(r"[^\w.-]", "_", part, flags=re.ASCII) for part in path.parts] for path in paths]
    names: list[str] = []
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["-".join(part for part in each[-depth:] if part.strip("_")) or "root" for each in parts]
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{name}-{number}" for number, name in enumerate(names, 1))
