"""The size of what an attack changed in a clip, and what of it is allowed."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from training.batch import MODALITIES, Batch
from training.norms import NORMS
from training.threat import ThreatModel

REPORTED_NORMS = ("linf", "l2")
"""Norms in which every change is measured, whichever bounds it."""

ROUNDING = 1e-5
"""The fraction by which a distance may exceed its epsilon: sums in 32-bit floating point."""


def sizes(threat: ThreatModel, perturbed: Batch, clean: Batch) -> dict[str, list[float | None]]:
    """Every column of a certificate that says how far a clip was moved, one value per clip."""
    columns: dict[str, list[float | None]] = {
        "linf_outside": change_outside(threat.where_judged(), perturbed, clean).tolist(),
        "psnr_video_db": peak_signal_to_noise_db(perturbed.video, clean.video),
        "snr_audio_db": signal_to_noise_db(perturbed.audio, clean.audio),
    }
    for name in MODALITIES:
        change = perturbed.stream(name) - clean.stream(name)
        columns[f"distance_{name}"] = threat.length(change).tolist()
        columns |= {f"{norm}_{name}": NORMS[norm].length(change).tolist() for norm in REPORTED_NORMS}
    return columns


def change_outside(threat: ThreatModel, perturbed: Batch, clean: Batch) -> Float[Tensor, " batch"]:
    """Largest change of any value in a segment that the threat model spares, per clip: 0 if it was obeyed."""
    if threat.segments is None:
        return torch.zeros(len(clean), device=clean.video.device)
    changes = (perturbed.stream(name) - clean.stream(name) for name in MODALITIES)
    return torch.stack([(change * ~threat.support(change)).abs().flatten(1).amax(1) for change in changes]).amax(0)


def allowed_distance(epsilon: float) -> float:
    """The largest distance that counts as within `epsilon`, given 32-bit rounding; exactly 0 for epsilon 0."""
    return epsilon * (1.0 + ROUNDING) + (1e-7 if epsilon else 0.0)


def peak_signal_to_noise_db(
    perturbed: Float[Tensor, "batch *shape"], clean: Float[Tensor, "batch *shape"]
) -> list[float | None]:
    """10 log10(1 / mean squared change) per clip, for values in [0, 1]; None where nothing changed."""
    errors = (perturbed - clean).double().square().flatten(1).mean(1)
    return [None if error == 0 else float(-10.0 * error.log10()) for error in errors.cpu()]


def signal_to_noise_db(
    perturbed: Float[Tensor, "batch *shape"], clean: Float[Tensor, "batch *shape"]
) -> list[float | None]:
    """10 log10(mean square / mean squared change) per clip; None where nothing changed or the clip is all zero."""
    errors = (perturbed - clean).double().square().flatten(1).mean(1).cpu()
    powers = clean.double().square().flatten(1).mean(1).cpu()
    return [
        None if error == 0 or power == 0 else float(10.0 * (power / error).log10())
        for power, error in zip(powers, errors, strict=True)
    ]
