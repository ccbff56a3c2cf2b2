"""The plan of a measurement of transfer: which attacks are crafted on which surrogates, with how many steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.planning.plan import Measurement
from evaluation.transfer.budget import paid_by
from evaluation.transfer.config import TransferConfig
from evaluation.transfer.surrogates import Surrogate
from training.models.classifier import Outputs
from training.passes import Passes


@dataclass(frozen=True)
class Crafting:
    """One attack on one surrogate; its clips are tried on the surrogate's victims."""

    attack: str
    """The attack's name in the report."""
    surrogate: Surrogate
    measurement: Measurement
    """The attack with the steps that it takes, under its threat model."""

    @property
    def cost(self) -> Passes:
        """Passes per clip through single models, at most."""
        return self.measurement.attack.cost * len(self.surrogate.members)


def craftings_of(
    config: TransferConfig, outputs: Mapping[str, Outputs]
) -> tuple[tuple[Crafting, ...], tuple[str, ...]]:
    """Everything that is crafted, surrogate after surrogate, and why some of it is left out.

    Args:
        config: the settings.
        outputs: the answer of each surrogate to one clip, by the surrogate's name: an attack may need what it lacks.
    """
    craftings: list[Crafting] = []
    left_out: list[str] = []
    for surrogate in config.surrogates:
        for name, listed in config.named_attacks.items():
            if reason := listed.obstacle(outputs[surrogate.name]):
                left_out.append(f"{name} on {surrogate.name}: {reason}")
                continue
            num_models = len(surrogate.members)
            attack = listed if config.budget is None else paid_by(listed, config.budget, num_models=num_models)
            craftings.append(Crafting(name, surrogate, Measurement(attack, config.threat, surrogate=surrogate.name)))
    return tuple(craftings), tuple(left_out)
