"""Outcomes and reports written by hand, whose numbers can be worked out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.transfer.config import TransferConfig
from evaluation.transfer.outcomes import Outcome, Outcomes
from evaluation.transfer.report import CraftingFacts, Facts, ModelFacts, TransferReport
from evaluation.transfer.summary import summarise
from preprocessing.storage.provenance import Provenance

RIGHT = {"A": (1, 1, 1, 0, 1, 1), "B": (1, 1, 0, 1, 1, 0), "C": (1, 1, 1, 1, 0, 1)}
"""The untouched clips that each model has right. A and B both: clips 0, 1, 4; A and C: 0, 1, 2, 5; B and C: 0, 1, 3;
all three: 0, 1."""
WRONG: dict[tuple[str, str, str], Sequence[int]] = {
    ("mifgsm", "A", "A"): (0, 1, 2, 4, 5),
    ("mifgsm", "A", "B"): (0, 2, 3),
    ("mifgsm", "A", "C"): (1, 4),
    ("tma", "A", "B"): (0, 1, 5),
    ("tma", "A", "C"): (0, 1, 2),
}
"""The clips that a victim has wrong once they are attacked on a surrogate, in any case those not named here: none."""


def config_of(**changes: object) -> TransferConfig:
    """Two attacks between three models."""
    return TransferConfig.model_validate(
        {
            "models": {"A": "runs/a", "B": "runs/b", "C": {"model": "theirs:Model"}},
            "data": "dataset <1>",
            "output": "report",
            "attacks": ("mifgsm", "tma"),
            "num_resamples": 200,
            **changes,
        }
    )


def outcome(**changes: object) -> Outcome:
    """A row of a clip that everybody has right, with changes."""
    right: dict[str, object] = {
        "key": "clip",
        "label": 1,
        "attack": "mifgsm",
        "surrogate": "A",
        "victim": "B",
        "surrogate_right": True,
        "victim_prediction": 1,
        "victim_right": True,
        "perturbed_prediction": 1,
        "fooled": False,
        "epsilon_video": 4 / 255,
        "epsilon_audio": 4 / 255,
        "distance_video": 4 / 255,
        "distance_audio": 3 / 255,
        "linf_outside": 0.0,
        "seed": 0,
        "victim_sha256": "bb" * 32,
    }
    return Outcome.model_validate(right | changes)


def outcomes_of(
    config: TransferConfig,
    wrong: Mapping[tuple[str, str, str], Sequence[int]] = WRONG,
    *,
    left_out: Sequence[tuple[str, str]] = (),
) -> Outcomes:
    """Every attack of a config on every surrogate and victim, over the six clips of `RIGHT`."""
    rows = []
    for surrogate in config.surrogates:
        for attack in config.named_attacks:
            if (attack, surrogate.name) in left_out:
                continue
            for victim in surrogate.victims:
                fooled = wrong.get((attack, surrogate.name, victim), ())
                for clip, is_right in enumerate(RIGHT[victim]):
                    surrogate_right = all(RIGHT[name][clip] for name in surrogate.members)
                    rows.append(
                        outcome(
                            key=f"clip {clip}",
                            attack=attack,
                            surrogate=surrogate.name,
                            victim=victim,
                            surrogate_right=surrogate_right,
                            victim_prediction=is_right,
                            victim_right=bool(is_right),
                            perturbed_prediction=0 if clip in fooled else 1,
                            fooled=(clip in fooled) if surrogate_right and is_right else None,
                            victim_sha256=victim.lower() * 64,
                        )
                    )
    return Outcomes.from_rows(rows)


def facts_of(
    config: TransferConfig, *, left_out: Sequence[tuple[str, str]] = (), outcomes_sha256: str = "ef" * 32
) -> Facts:
    """What is known beside the outcomes; ensembles take half the steps."""
    provenance = Provenance(version="1.2.3", commit=None, libraries={"torch": "2.0"}, device="a processor")
    return Facts(
        models=tuple(
            ModelFacts(name=name, place=f"runs/{name}", sha256=name.lower() * 64, objective=None, trained_with=None)
            for name in config.named_models
        ),
        craftings=tuple(
            CraftingFacts(
                attack=attack,
                surrogate=surrogate.name,
                settings=f"{attack}-{60 // len(surrogate.members)}",
                forward_passes=60,
                backward_passes=60,
                passes=60,
            )
            for surrogate in config.surrogates
            for attack in config.named_attacks
            if (attack, surrogate.name) not in left_out
        ),
        left_out=tuple(f"{attack} on {surrogate}: no features" for attack, surrogate in left_out),
        class_names=("bowling", "playing <drums>"),
        dataset_content_sha256="cd" * 32,
        outcomes_sha256=outcomes_sha256,
        seconds=1.5,
        device="processors",
        provenance=provenance,
    )


def report_of(config: TransferConfig, **choices: object) -> TransferReport:
    """The report of the outcomes written by hand."""
    left_out: Sequence[tuple[str, str]] = choices.get("left_out", ())  # type: ignore[assignment]
    return summarise(outcomes_of(config, left_out=left_out), config=config, facts=facts_of(config, left_out=left_out))
