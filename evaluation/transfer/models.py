"""The models of a measurement of transfer, loaded and checked, and the answers of its surrogates."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.transfer.config import TransferConfig
from evaluation.transfer.measurement import NamedModels
from evaluation.transfer.report import ModelFacts
from evaluation.transfer.surrogates import Surrogate
from evaluation.victim import Victim, answer_to_a_clip, load_named
from preprocessing.errors import DataError, SettingsError
from preprocessing.schema import DatasetIndex
from training.models.classifier import Outputs


@dataclass(frozen=True)
class LoadedModels:
    """All models by name, with what is known of each."""

    victims: dict[str, Victim]
    places: dict[str, str]
    """Folder or factory of each."""

    @property
    def for_tasks(self) -> NamedModels:
        """The same as tasks get them."""
        models = {name: victim.model for name, victim in self.victims.items()}
        return NamedModels(models, {name: victim.sha256 for name, victim in self.victims.items()})

    @property
    def facts(self) -> tuple[ModelFacts, ...]:
        """The report's words on them."""
        return tuple(
            ModelFacts(
                name=name,
                place=self.places[name],
                sha256=victim.sha256,
                objective=victim.objective,
                trained_with=victim.provenance,
            )
            for name, victim in self.victims.items()
        )


def load_models(config: TransferConfig, index: DatasetIndex) -> LoadedModels:
    """Every model that settings name.

    Raises:
        UserError: if one cannot be loaded, is one of other classes or clips, or has the weights of another.
    """
    victims, places = {}, {}
    for name, named in config.named_models.items():
        victims[name] = load_named(named, index, data=config.data, threat=config.threat)
        places[name] = named.checkpoint or str(named.model)
    by_weights: dict[str, str] = {}
    for name, victim in victims.items():
        other = by_weights.setdefault(victim.sha256, name)
        if other != name:
            raise DataError(
                f"'{other}' ({places[other]}) and '{name}' ({places[name]}) have the same weights, so nothing is "
                "transferred between them; leave one of them out"
            )
    return LoadedModels(victims, places)


def answers_of(
    surrogates: tuple[Surrogate, ...], models: NamedModels, index: DatasetIndex, config: TransferConfig
) -> dict[str, Outputs]:
    """The answer of every surrogate to one clip, by the surrogate's name.

    Raises:
        SettingsError: if models cannot be attacked together.
    """
    answers = {}
    for surrogate in surrogates:
        try:
            found = answer_to_a_clip(models.source(surrogate), index.format, audio_domain=config.threat.audio_domain)
        except ValueError as error:
            raise SettingsError(f"{surrogate.name} cannot be attacked together: {error}; leave it out") from error
        assert isinstance(found, Outputs), f"{surrogate.name} returned {type(found)}"
        answers[surrogate.name] = found
    return answers
