"""One task's portion: its clips attacked on every surrogate, and what every victim makes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor, nn

from evaluation.planning.moments import open_pairs
from evaluation.stored.changes import change_outside
from evaluation.stored.kept_tables import Position
from evaluation.tasks.crafting import attack_checked
from evaluation.tasks.measurement import SampledClips, predict
from evaluation.tasks.portions import clips_of_the_task, device_of_the_task, exact_arithmetic
from evaluation.transfer.config import TransferConfig
from evaluation.transfer.outcomes import Outcome, Outcomes
from evaluation.transfer.plan import Crafting
from evaluation.transfer.surrogates import Surrogate
from preprocessing.cluster.shared_places import Landmark, recognise
from preprocessing.storage.provenance import device_name
from training.attacks.engine.moments import OtherMoments
from training.batch import MODALITIES, Batch
from training.models.ensemble import Ensemble

Classes = Int[Tensor, " batch"]


@dataclass(frozen=True)
class NamedModels:
    """All models of a measurement by name, as every task gets a copy of them."""

    models: Mapping[str, nn.Module]
    sha256: Mapping[str, str]
    """Names the weights of each."""

    def to(self, device: str) -> NamedModels:
        """The same models on a device, in evaluation mode."""
        return NamedModels({name: model.to(device).eval() for name, model in self.models.items()}, self.sha256)

    def source(self, surrogate: Surrogate) -> nn.Module:
        """The model that attacks on a surrogate follow: its only member, or the mean of its members' logits."""
        members = [self.models[name] for name in surrogate.members]
        return members[0] if len(members) == 1 else Ensemble(members).eval()


@dataclass(frozen=True)
class TransferPiece:
    """The outcomes of one crafting on one batch, for all of its victims."""

    crafting: int
    """Position in the list of craftings."""
    batch: int
    """Position among all batches of the measurement."""
    outcomes: Outcomes
    device: str
    """Name of the processor or GPU that it was measured on."""

    @property
    def position(self) -> Position:
        """Its place among all pieces."""
        return self.crafting, self.batch


def measure_portion(
    known: tuple[Landmark, ...],
    models: NamedModels,
    config: TransferConfig,
    craftings: tuple[Crafting, ...],
    rank: int,
    first_batch: int,
    kept: frozenset[Position],
) -> Iterator[TransferPiece]:
    """One task's pieces, as they are finished, without those that are `kept`."""
    recognise(known)
    batches = clips_of_the_task(config, rank, audio_domain=config.threat.audio_domain)
    pairs = open_pairs(config.data, config.moments, config.split, config.threat)
    device = device_of_the_task()
    with exact_arithmetic(config.cpus_per_worker):
        yield from measure_transfer(
            models.to(device),
            batches,
            craftings,
            seed=config.seed,
            device=device,
            sampled=pairs.sampled_clips if pairs else None,
            first_batch=first_batch,
            kept=kept,
        )


def measure_transfer(
    models: NamedModels,
    batches: Iterable[Batch],
    craftings: Sequence[Crafting],
    *,
    seed: int,
    device: str = "cpu",
    sampled: SampledClips | None = None,
    first_batch: int = 0,
    kept: Collection[Position] = (),
) -> Iterator[TransferPiece]:
    """Craft every attack on its surrogate, batch by batch, and ask every victim about the clips.

    Args:
        models: on `device`, in evaluation mode.
        batches: clips, on any device.
        craftings: what to craft; pieces name each by its position here.
        seed: decides all randomness, with the clips' keys.
        device: where everything is computed.
        sampled: under `moments=other`, the clips that attacks are tried on; None = those that they are made on.
        first_batch: number of the first batch among all those of the measurement.
        kept: pieces that are there already.
    """
    for number, batch in enumerate(batches, first_batch):
        missing = [position for position in range(len(craftings)) if (position, number) not in kept]
        if not missing:
            continue
        clips = batch.to(torch.device(device))
        moments = sampled(clips.keys).to(device) if sampled else None
        untouched = moments.untouched(clips) if moments else clips
        clean = {name: predict(model, untouched) for name, model in models.models.items()}
        for position in missing:
            outcomes = outcomes_of(models, clips, craftings[position], clean=clean, seed=seed, moments=moments)
            yield TransferPiece(position, number, outcomes, device_name(device))


def outcomes_of(
    models: NamedModels,
    clips: Batch,
    crafting: Crafting,
    *,
    clean: Mapping[str, Classes],
    seed: int,
    moments: OtherMoments | None = None,
) -> Outcomes:
    """Attack the clips of a batch on a surrogate, and write down what each victim makes of each clip.

    Args:
        models: all models, on the clips' device.
        clips: untouched.
        crafting: the attack and its surrogate.
        clean: every model's classes for the untouched clips.
        seed: of the attack.
        moments: the clips that it is tried on; None = those that it is made on.

    Raises:
        BudgetError: if the attack broke its promise to stay inside the threat model.
    """
    surrogate, threat = crafting.surrogate, crafting.measurement.threat
    perturbation = attack_checked(models.source(surrogate), clips, crafting.measurement, seed=seed, moments=moments)
    tried = moments.untouched(clips) if moments else clips
    perturbed = perturbation.applied(tried, threat)
    members = torch.stack([clean[name] == clips.labels for name in surrogate.members])
    distances = threat.distances(perturbed, tried)
    columns: dict[str, Sequence[object]] = {
        "key": clips.keys,
        "label": clips.labels.tolist(),
        "surrogate_right": members.all(0).tolist(),
        "linf_outside": change_outside(threat.where_judged(), perturbed, tried).tolist(),
        **{f"distance_{name}": distances[name].tolist() for name in MODALITIES},
    }
    shared = {
        "attack": crafting.attack,
        "surrogate": surrogate.name,
        "epsilon_video": threat.video,
        "epsilon_audio": threat.audio,
        "seed": seed,
    }
    rows: list[Outcome] = []
    for victim in surrogate.victims:
        asked = columns | {
            "victim_prediction": clean[victim].tolist(),
            "perturbed_prediction": predict(models.models[victim], perturbed).tolist(),
        }
        of_victim = shared | {"victim": victim, "victim_sha256": models.sha256[victim]}
        rows += [
            _outcome(of_victim | dict(zip(asked, values, strict=True))) for values in zip(*asked.values(), strict=True)
        ]
    return Outcomes.from_rows(rows)


def _outcome(known: dict[str, object]) -> Outcome:
    """A row with what follows from the predictions."""
    is_right = known["victim_prediction"] == known["label"]
    counts = is_right and bool(known["surrogate_right"])
    fooled = known["perturbed_prediction"] != known["label"] if counts else None
    return Outcome.model_validate(known | {"victim_right": is_right, "fooled": fooled})
