"""The checks that ask the facts about each clip."""

from __future__ import annotations

import numpy as np

from evaluation.config import CheckLimits
from evaluation.masking.check import Check, decided
from evaluation.masking.slopes import PATH, PROBES
from evaluation.stored.certificates import Certificates


def gradients_are_usable(clips: Certificates, *, modality: str, limits: CheckLimits) -> Check:
    """Clips that the model classifies by this modality must have a gradient there: it would have caught rounded,
    quantised and detached models, and scores that saturate (Athalye et al. 2018, arXiv:1802.00420, Section 3.1)."""
    gradient = clips.numbers(f"{modality}_gradient")
    uses = clips.column(f"uses_{modality}").astype(bool)
    is_lost = uses & ((gradient == 0) | np.isnan(gradient))
    share = float(is_lost.mean())
    return decided(
        f"{modality}_gradients_are_usable",
        f"Does the loss have a finite, non-zero gradient in the {modality}?",
        fired=share > limits.max_zero_gradient_share,
        finding=f"{is_lost.sum()} of {len(is_lost)} clips have none although the logits depend on the {modality} "
        f"({share:.1%}; allowed {limits.max_zero_gradient_share:.1%})",
    )


def gradients_last_on_the_way(clips: Certificates, *, modality: str, limits: CheckLimits) -> Check:
    """The gradient must not end on the way of an attack while the clip is still right: it would have caught models that
    are flat near the decision boundary alone, where attacks arrive and stand still (Athalye et al. 2018,
    arXiv:1802.00420, Section 3.1)."""
    clean = np.nan_to_num(clips.numbers(f"{modality}_gradient"))
    left = clips.lists(f"{modality}_path_gradient", len(PATH))
    uses = clips.column(f"uses_{modality}").astype(bool)
    is_lost = uses[:, None] & (left < limits.min_gradient_left * clean[:, None])
    shares = is_lost.mean(0)
    worst = int(shares.argmax())
    return decided(
        f"{modality}_gradients_last_on_the_way",
        f"Does the gradient in the {modality} last until an attack arrives?",
        fired=bool(shares[worst] > limits.max_zero_gradient_share),
        finding=f"{is_lost[:, worst].sum()} of {len(uses)} clips are still right at {PATH[worst]} and have less than "
        f"{limits.min_gradient_left:g} of the untouched clip's gradient left ({shares[worst]:.1%}; allowed "
        f"{limits.max_zero_gradient_share:.1%})",
    )


def forward_is_deterministic(clips: Certificates, *, limits: CheckLimits, eot_samples: int = 1) -> Check:
    """The same clip must give the same logits; a randomised defence needs attacks on its expectation (`eot_samples`),
    and its accuracy is one of a draw (Athalye et al. 2018, arXiv:1802.00420, Section 4.2)."""
    difference = clips.numbers("forward_difference")
    differs = ~(difference <= limits.max_forward_difference)
    known = difference[~np.isnan(difference)]
    largest = f"{known.max():.2g}" if known.size else "unknown"
    averaged = f"; attacks followed the mean of {eot_samples} passes" if eot_samples > 1 else ""
    return decided(
        "forward_is_deterministic",
        "Do repeated passes over the same clip give the same logits?",
        fired=bool(differs.any()),
        finding=f"{differs.sum()} of {len(differs)} clips differ or are not finite; largest difference {largest} of "
        f"the logits' spread (allowed {limits.max_forward_difference:g}){averaged}",
    )


def companions_change_nothing(clips: Certificates, *, limits: CheckLimits) -> Check:
    """A clip must have the same logits alone and among others: a verdict that is taken over the batch (statistics of
    the batch, votes) answers to its neighbours (transductive defences: Chen et al. 2022, arXiv:2110.14735)."""
    difference = clips.numbers("companion_difference")
    differs = ~(difference <= limits.max_companion_difference)
    known = difference[~np.isnan(difference)]
    largest = f"{known.max():.2g}" if known.size else "unknown"
    return decided(
        "companions_change_nothing",
        "Does a clip have the same logits alone and among other clips?",
        fired=bool(differs.any()),
        finding=f"{differs.sum()} of {len(differs)} clips differ or are not finite; largest difference {largest} of "
        f"the logits' spread (allowed {limits.max_companion_difference:g})",
    )


def loss_rises_along_gradient(clips: Certificates, *, modality: str, limits: CheckLimits) -> Check:
    """A step along the gradient must keep as much of its promise as random steps do of theirs: it would have caught
    shattered gradients, noise keyed by the input, and backward passes that are not those of the forward pass (Tramer
    et al. 2020, arXiv:2002.08347, look at the loss along directions)."""
    alignment = clips.lists(f"{modality}_alignment", len(PROBES))
    uses = clips.column(f"uses_{modality}").astype(bool)
    is_misled = uses[:, None] & (alignment < limits.min_alignment)
    shares = is_misled.mean(0)
    worst = int(shares.argmax())
    place, size = PROBES[worst]
    return decided(
        f"{modality}_loss_rises_along_gradient",
        f"Does the loss rise along the gradient in the {modality} as the gradient says?",
        fired=bool(shares[worst] > limits.max_misled_share),
        finding=f"{is_misled[:, worst].sum()} of {len(uses)} clips are misled by it in a step of epsilon / "
        f"{1 / size:g} from {place} ({shares[worst]:.1%}; allowed {limits.max_misled_share:.1%}): it keeps less than "
        f"{limits.min_alignment:g} of its promise, measured by random steps",
    )


def smoothing_finds_no_more(clips: Certificates, *, modality: str, limits: CheckLimits) -> Check:
    """The mean of gradients of points nearby must not lead much higher than the gradient itself: it would have caught
    gradients that are right up close and ripple over the way that an attack goes (Smilkov et al. 2017,
    arXiv:1706.03825)."""
    plain, smooth = clips.numbers(f"{modality}_rise"), clips.numbers(f"{modality}_smoothed_rise")
    uses = clips.column(f"uses_{modality}").astype(bool)
    leads_higher = smooth > limits.max_smoothing_gain * np.maximum(plain, 0.0)
    gains = uses & leads_higher & (smooth > limits.min_effect)
    share = float(gains.mean())
    return decided(
        f"{modality}_smoothing_finds_no_more",
        f"Does the gradient in the {modality} lead as high as the mean of gradients nearby?",
        fired=share > limits.max_misled_share,
        finding=f"on {gains.sum()} of {len(gains)} clips the mean of gradients nearby leads more than "
        f"{limits.max_smoothing_gain:g} times as high ({share:.1%}; allowed {limits.max_misled_share:.1%})",
    )
