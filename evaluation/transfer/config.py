"""The settings of a measurement of transfer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from evaluation.attack_lists import AttackList, attack_label, method_label
from evaluation.config import names_of_folders, require_moments
from evaluation.transfer.budget import paid_by
from evaluation.transfer.surrogates import LEAVE_ONE_OUT, Surrogate, surrogates_of
from preprocessing.errors import SettingsError
from preprocessing.schema import Split
from preprocessing.settings import Settings
from preprocessing.storage.places import Place
from training.attacks import MIFGSM, MMA, TIA, TMA, AnyAttack
from training.models.foreign import ModelInput
from training.threat import ThreatModel

MACHINE_SETTINGS = frozenset(
    (
        *("checkpoint", "models", "data", "moments", "output"),
        *("workers", "gpu", "gpus_per_worker", "cpus_per_worker", "max_wait_minutes"),
    )
)
"""Settings that say where and on what a measurement runs: they decide no outcome of a clip."""


def _alone_or_listed(value: Any) -> Any:
    """A word alone as a list of one."""
    return (value,) if isinstance(value, str) else value


class NamedModel(Settings):
    """A model: a checkpoint, or one of another maker; a folder alone stands for its checkpoint."""

    checkpoint: str | None = Field(default=None, min_length=1)
    """Folder of a checkpoint."""
    model: str | None = None
    """In its place, a model of another maker: `package.module:factory`, a class or a function that returns a
    `torch.nn.Module`, called with `num_classes` and `clip_format` if it takes them."""
    weights: str | None = None
    """Weights of `model`: a .safetensors file, or one of `torch.save` with tensors alone; unset = as it is made."""
    model_input: ModelInput = ModelInput()
    """The form in which `model` takes frames and audio."""

    @model_validator(mode="before")
    @classmethod
    def _folder_alone(cls, value: Any) -> Any:
        return {"checkpoint": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_one_model(self) -> NamedModel:
        if (self.checkpoint is None) == (self.model is None):
            raise ValueError("give checkpoint=DIR, or model=package.module:factory for a model of another maker")
        if self.model is None and (self.weights is not None or self.model_input != ModelInput()):
            raise ValueError("weights and model_input are for model=package.module:factory; a checkpoint has its own")
        return self


Ensembles = tuple[tuple[str, ...] | Literal["leave_one_out"], ...]


class TransferConfig(Settings):
    """A measurement of transfer: the models, the clips, the threat and the attacks that are crafted on some of them."""

    checkpoint: Annotated[tuple[str, ...], BeforeValidator(_alone_or_listed)] = ()
    """Folders of checkpoints, each called by as much of the end of its path as tells them apart."""
    models: dict[str, NamedModel] = Field(default={})
    """Further models by name: a folder of a checkpoint, or `model`, `weights` and `model_input` of a model of another
    maker. The word NAME=DIR stands for one."""
    data: Place
    """Preprocessed data set: a folder or any fsspec URL."""
    moments: Place | None = None
    """For a threat with `moments=other`: the same clips stored at the moments at which the models sample them, such as
    with another `format.offset`. Attacks are made on the clips of `data` and tried on these, paired by key; all models
    are asked about the untouched ones of these as well."""
    output: str = Field(min_length=1)
    """Folder that receives transfer.json, transfer.html, outcomes.parquet and the tables."""
    threat: ThreatModel = ThreatModel()
    """The rules that every attack keeps to."""
    attacks: AttackList = Field(default=(MIFGSM(), TIA(), MMA(), TMA()), min_length=1)
    """Attacks that are crafted on each surrogate: a list, or the name of one (`quick`, `default`, `standard`, `paper`).
    Those that cannot be run on a surrogate, for want of features or classes, are left out with a line that says so."""
    baseline: str | None = None
    """Name of the attack that all others are compared with over the same clips, as reports name it: `mifgsm`; unset =
    the first of the list."""
    budget: PositiveInt | None = 60
    """Passes per clip, forward and backward, that every attack is given on every surrogate: its steps follow. An
    ensemble of n models takes n passes a step, so it takes an n-th of the steps; 60 leaves no rest up to n = 6. null =
    attacks go as many steps as they are listed with, and cost what that costs."""
    ensembles: Annotated[Ensembles, BeforeValidator(_alone_or_listed)] = ()
    """Models that attacks are crafted on together, on the mean of their logits: `[[A, B], [A, B, C]]`; `leave_one_out`
    is, for each victim, one of all the models but the victim."""
    crafted_on: tuple[str, ...] = ()
    """Names of the models that attacks are crafted on, one by one and for `leave_one_out`; empty = all."""
    tried_on: tuple[str, ...] = ()
    """Names of the models that the clips are tried on, the victims; empty = all."""
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
    """Minutes that the measurement waits for a node that can run a task; null = without end. What the cluster can never
    have is refused at once."""
    num_resamples: PositiveInt = 2000
    """Bootstrap draws behind each interval."""
    seed: int = 0
    """Seed of random starts (per clip) and of the bootstrap."""

    def fingerprint(self) -> dict[str, object]:
        """Settings that decide the outcomes, beside the models' names and weights and the data's content."""
        return self.model_dump(mode="json", exclude=set(MACHINE_SETTINGS | {"num_resamples", "baseline"}))

    @property
    def named_models(self) -> dict[str, NamedModel]:
        """All models by name, those of `checkpoint` first."""
        names = names_of_folders(self.checkpoint)
        listed = {name: NamedModel(checkpoint=folder) for name, folder in zip(names, self.checkpoint, strict=True)}
        return listed | self.models

    @property
    def surrogates(self) -> tuple[Surrogate, ...]:
        """The single models and the ensembles that attacks are crafted on."""
        names = tuple(self.named_models)
        return surrogates_of(self.crafted_on or names, self.tried_on or names, self.ensembles)

    @property
    def victims(self) -> tuple[str, ...]:
        """Names of the models that the clips are tried on."""
        return self.tried_on or tuple(self.named_models)

    @property
    def named_attacks(self) -> dict[str, AnyAttack]:
        """The attacks as they are listed, by their names in the report: without steps if those follow from `budget`."""
        named = attack_label if self.budget is None else method_label
        return {named(attack): attack for attack in self.attacks}

    @property
    def baseline_name(self) -> str:
        """The attack that others are compared with."""
        return self.baseline or next(iter(self.named_attacks))

    @model_validator(mode="after")
    def _models_are_told_apart(self) -> TransferConfig:
        names = names_of_folders(self.checkpoint)
        if both := sorted(set(names) & set(self.models)):
            raise ValueError(f"models: {', '.join(both)} is the name of a folder of checkpoint, too; choose another")
        for name in self.models:
            if not re.fullmatch(r"[\w.-]+", name, flags=re.ASCII):
                raise ValueError(f"models: '{name}' is no name; allowed: letters, digits, _ - .")
        known = self.named_models
        if len(known) < 2:
            raise ValueError(f"got {len(known)} models; at least two are needed: checkpoint=[DIR, DIR] or models")
        for setting in ("crafted_on", "tried_on"):
            _require_known(setting, getattr(self, setting), known)
        return self

    @model_validator(mode="after")
    def _ensembles_are_some(self) -> TransferConfig:
        for ensemble in self.ensembles:
            if ensemble == LEAVE_ONE_OUT:
                if any(len(each.members) < 2 for each in self.surrogates if each.kind == LEAVE_ONE_OUT):
                    raise ValueError(
                        "ensembles=leave_one_out needs two models beside each victim; name them one by one"
                    )
                continue
            if len(ensemble) < 2:
                raise ValueError(f"ensembles: {list(ensemble)} is no ensemble; list two models or more in each")
            _require_known("ensembles", ensemble, self.named_models)
        sets = [ensemble if isinstance(ensemble, str) else tuple(sorted(ensemble)) for ensemble in self.ensembles]
        if repeated := [each for each in sets if sets.count(each) > 1]:
            raise ValueError(f"ensembles: {repeated[0]} is listed more than once; remove the repetition")
        return self

    @model_validator(mode="after")
    def _attacks_are_told_apart(self) -> TransferConfig:
        names = list(self.named_attacks)
        if len(names) < len(self.attacks):
            steps = "" if self.budget is None else " (steps follow from budget and do not tell them apart)"
            raise ValueError(f"attacks: {len(self.attacks) - len(names)} listed more than once{steps}; remove them")
        if self.baseline_name not in names:
            raise ValueError(f"baseline: '{self.baseline}' is no attack of the list; allowed: {', '.join(names)}")
        if self.threat.video == 0 and self.threat.audio == 0:
            raise ValueError("threat: both epsilons are 0, so there is nothing to measure; raise one of them")
        require_moments(self.threat, self.moments)
        return self

    @model_validator(mode="after")
    def _budget_pays_for_a_step(self) -> TransferConfig:
        if self.budget is None:
            return self
        problems = []
        most = max(len(surrogate.members) for surrogate in self.surrogates)
        for attack in self.attacks:
            try:
                paid_by(attack, self.budget, num_models=most)
            except SettingsError as error:
                problems.append(str(error))
        if problems:
            raise ValueError(f"{'; '.join(problems)}: raise budget, or leave out the attack or the ensemble")
        return self


def _require_known(setting: str, names: Sequence[str], known: dict[str, NamedModel]) -> None:
    """Refuse names that are no model's, or are listed twice."""
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{setting}: no model is called {', '.join(unknown)}; allowed: {', '.join(known)}")
    if repeated := sorted({name for name in names if list(names).count(name) > 1}):
        raise ValueError(f"{setting}: {', '.join(repeated)} is listed more than once; remove the repetition")
