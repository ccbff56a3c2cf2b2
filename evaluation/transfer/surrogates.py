"""The surrogates that attacks are crafted on: single models, and ensembles of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from preprocessing.settings import Settings

LEAVE_ONE_OUT = "leave_one_out"
SurrogateKind = Literal["single", "ensemble", "leave_one_out"]


class Surrogate(Settings):
    """One model, or several as one: the mean of their logits."""

    name: str
    """A model's name; `A+B` of an ensemble; `all but C`."""
    kind: SurrogateKind
    """`leave_one_out`: all the models but the victim."""
    members: tuple[str, ...]
    """Names of its models."""
    victims: tuple[str, ...]
    """Names of the models that its clips are tried on."""

    def is_white_box(self, victim: str) -> bool:
        """True if the victim is the surrogate, or one of its members: then nothing is transferred."""
        return victim in self.members


def surrogates_of(
    crafted_on: Sequence[str], tried_on: Sequence[str], ensembles: Sequence[Sequence[str] | str]
) -> tuple[Surrogate, ...]:
    """All surrogates, the single models first.

    Args:
        crafted_on: names of the models that attacks are crafted on.
        tried_on: names of the models that the clips are tried on.
        ensembles: names of each one's members; `leave_one_out` stands for one per victim, of all models of
            `crafted_on` but that victim.
    """
    victims = tuple(tried_on)
    found = [Surrogate(name=name, kind="single", members=(name,), victims=victims) for name in crafted_on]
    for ensemble in ensembles:
        if ensemble == LEAVE_ONE_OUT:
            for victim in victims:
                others = tuple(name for name in crafted_on if name != victim)
                found.append(Surrogate(name=f"all but {victim}", kind=LEAVE_ONE_OUT, members=others, victims=(victim,)))
        else:
            members = tuple(ensemble)
            found.append(Surrogate(name="+".join(members), kind="ensemble", members=members, victims=victims))
    return tuple(found)
