"""The attacks compared: baselines, and every reading of TIA, MMA and TMA, at one gradient budget."""

from __future__ import annotations

from training.attacks import FGSM, IFGSM, MIFGSM, MMA, TIA, TMA, TSI, Attack
from training.attacks.engine.averaging import Smoothing, TemporalGroups

BASELINE = "MI-FGSM"


def compared(*, num_gradients: int, num_segments: int) -> dict[str, Attack]:
    """The attacks by name, each with `num_gradients` backward passes per clip (FGSM has one by definition).

    A reading over copies spends two of them on every step: itself and one copy.
    """
    steps, halved = {"steps": num_gradients}, {"steps": num_gradients // 2, "temporal": "copies", "num_copies": 1}
    tia, mma, tma = TIA.model_validate, MMA.model_validate, TMA.model_validate
    attacks: dict[str, Attack] = {
        "FGSM": FGSM(),
        "I-FGSM": IFGSM(steps=num_gradients),
        BASELINE: MIFGSM(steps=num_gradients),
        "TIA consecutive 0.1": tia({**steps, "temporal_weight": 0.1}),
        "TIA consecutive -0.1": tia({**steps, "temporal_weight": -0.1}),
        "TIA consecutive 0.1, weighted": tia({**steps, "temporal_weight": 0.1, "combination": "weighted"}),
        "TIA consecutive -0.1, weighted": tia({**steps, "temporal_weight": -0.1, "combination": "weighted"}),
        "TIA copies 0.1": tia({**halved, "temporal_weight": 0.1}),
        "TIA copies -0.1": tia({**halved, "temporal_weight": -0.1}),
        "TIA copies 0.1, weighted": tia({**halved, "temporal_weight": 0.1, "combination": "weighted"}),
        "MMA means 0.3": mma({**steps, "modality_weight": 0.3}),
        "MMA means -0.3": mma({**steps, "modality_weight": -0.3}),
        "MMA means 0.3, weighted": mma({**steps, "modality_weight": 0.3, "combination": "weighted"}),
        "MMA segments 0.3": mma({**steps, "modality_weight": 0.3, "agreement": "segments"}),
        "MMA predictions 0.3": mma({**steps, "modality_weight": 0.3, "agreement": "predictions"}),
        "MMA literal 0.3": mma({**steps, "modality_weight": 0.3, "agreement": "literal"}),
        "TMA 0.1, 0.3": tma({**steps, "temporal_weight": 0.1, "modality_weight": 0.3}),
    }
    attacks |= _of_tsi(num_gradients)
    shared = TemporalGroups(segments=num_segments)
    for size in sorted({min(size, num_segments) for size in (2, 4, num_segments)}):
        whole = "all" if size == num_segments else str(size)
        sharing = TemporalGroups(segments=size)
        attacks[f"{BASELINE} + gradient of {whole}"] = MIFGSM(steps=num_gradients, sharing=sharing)
        sharing = TemporalGroups(segments=size, of="perturbation")
        attacks[f"{BASELINE} + perturbation of {whole}"] = MIFGSM(steps=num_gradients, sharing=sharing)
    for name in ("TIA consecutive 0.1", "TIA copies 0.1", "MMA means 0.3", "MMA segments 0.3", "MMA predictions 0.3"):
        attacks[f"{name} + gradient of all"] = _with(attacks[name], shared)
    attacks["TMA 0.1, 0.3 + gradient of all"] = _with(attacks["TMA 0.1, 0.3"], shared)
    return attacks


def _of_tsi(num_gradients: int) -> dict[str, Attack]:
    """TSI, and MI-FGSM with its longer step and each of its other two parts."""
    long = MIFGSM(steps=num_gradients, step_size=2 / num_gradients)
    return {
        f"{BASELINE}, steps of 2/K": long,
        f"{BASELINE}, steps of 2/K, smoothed (TI)": long.model_copy(update={"smoothing": Smoothing(video=3, audio=3)}),
        f"{BASELINE}, steps of 2/K, half shared": _with(long, TemporalGroups(segments="all", strength=0.5)),
        "TSI": TSI(steps=num_gradients),
    }


def _with(attack: Attack, sharing: TemporalGroups) -> Attack:
    return type(attack).model_validate({**attack.model_dump(), "sharing": sharing})
