"""The checks that compare what attacks did to the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.stats import binomtest

from evaluation.config import CheckLimits
from evaluation.intervals import chance_of_excess
from evaluation.masking.check import AttackOutcome, Check, decided, is_ahead, not_run
from evaluation.stored.certificates import Certificates
from training.batch import MODALITIES


def many_steps_beat_one(attacks: Sequence[AttackOutcome], *, limits: CheckLimits) -> Check:
    """No one-step attack may beat every iterative one: it would mean that following the gradient misleads (Athalye et
    al. 2018, Section 3.1). Attacks that follow no gradient, or that of another model, belong to neither."""
    name, question = "many_steps_beat_one", "Does an iterative attack fool at least as many clips as a one-step attack?"
    white_box = [attack for attack in attacks if attack.is_white_box]
    single = [attack for attack in white_box if attack.backward_passes == 1]
    several = [attack for attack in white_box if attack.backward_passes > 1]
    if not single or not several:
        return not_run(name, question, f"no {'one-step' if not single else 'iterative'} attack in the list")
    one, many = strongest(single), strongest(several)
    return decided(
        name,
        question,
        fired=is_ahead(many.is_robust, one.is_robust, significance=limits.significance, limits=limits),
        finding=f"robust accuracy {one.is_robust.mean():.1%} under {one.label} and {many.is_robust.mean():.1%} under "
        f"{many.label}, both {one.threat}",
    )


def accuracy_falls_with_epsilon(curve: Sequence[AttackOutcome], *, limits: CheckLimits) -> Check:
    """A larger budget contains the smaller one, so robust accuracy may not rise with it (Carlini et al. 2019,
    arXiv:1902.06705)."""
    name, question = "accuracy_falls_with_epsilon", "Does robust accuracy fall, or stay, as epsilon grows?"
    pairs = [(small, large) for index, small in enumerate(curve) for large in curve[index + 1 :]]
    if not pairs:
        return not_run(name, question, "the curve has fewer than two points")
    small, large = max(pairs, key=lambda pair: float(pair[1].is_robust.mean() - pair[0].is_robust.mean()))
    return decided(
        name,
        question,
        fired=any(
            is_ahead(more.is_robust, less.is_robust, significance=limits.significance / len(pairs), limits=limits)
            for less, more in pairs
        ),
        finding=f"largest step upwards: {small.is_robust.mean():.1%} under {small.threat}, "
        f"{large.is_robust.mean():.1%} under {large.threat} ({small.label})",
    )


def unbounded_attack_succeeds(
    clips: Certificates,
    unbounded: AttackOutcome,
    noise: AttackOutcome | None,
    *,
    attacked: Sequence[str],
    limits: CheckLimits,
) -> Check:
    """With no limit an attack can do anything, so it must bring accuracy down to that of guessing the commonest class,
    and fool more clips than plain noise does or leave none (Athalye et al. 2018, Section 3.1). A clip may rightly be
    recognised by a modality that the threat spares: there the attack must only not do worse than noise."""
    name, question = "unbounded_attack_succeeds", "Does an attack without a limit bring accuracy down to chance?"
    labels = clips.column("label")
    chance = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    right = int(unbounded.is_robust.sum())
    is_above = binomtest(right, len(labels), chance, alternative="greater").pvalue < limits.significance
    finding = (
        f"{right} of {len(labels)} clips are still right under {unbounded.label} with {unbounded.threat}; "
        f"chance is {chance:.1%}"
    )
    if noise is None:
        return decided(name, question, fired=bool(is_above), finding=finding)
    question = "Does an attack without a limit bring accuracy down to chance, and further than plain noise?"
    finding += f", and plain noise leaves {int(noise.is_robust.sum())}"
    ahead = partial(is_ahead, significance=limits.significance, limits=limits)
    is_no_better = bool(right) and not ahead(noise.is_robust, unbounded.is_robust)
    if spared := [each for each in MODALITIES if each not in attacked and clips.column(f"uses_{each}").any()]:
        fired = ahead(unbounded.is_robust, noise.is_robust)
        doubt = f"; the threat spares the {spared[0]}, by which clips may rightly be recognised"
    else:
        nobody = np.zeros_like(noise.is_robust)
        could_be_better = chance_of_excess(noise.is_robust, nobody) < limits.significance
        fired = bool(is_above) or (is_no_better and could_be_better)
        doubt = ": too few for an attack to be surely better"
    if is_no_better and not fired:
        return not_run(name, question, finding + doubt)
    return decided(name, question, fired=fired, finding=finding)


def white_box_beats_black_box(attacks: Sequence[AttackOutcome], *, limits: CheckLimits) -> Check:
    """Attacks by scores alone, or crafted on another model, may not break clips that withstand every attack by the
    model's own gradient (Athalye et al. 2018, Section 3.1; AutoAttack, arXiv:2003.01690, warns where Square does)."""
    name = "white_box_beats_black_box"
    question = "Do attacks by the gradient fool all clips that attacks without it, or by another model, can fool?"
    white_box = [attack for attack in attacks if attack.is_white_box]
    black_box = [attack for attack in attacks if not attack.is_white_box]
    if not white_box or not black_box:
        missing = "gradient" if not white_box else "gradient-free or transferred"
        return not_run(name, question, f"no {missing} attack in the list")
    left = np.logical_and.reduce([attack.is_robust for attack in white_box])
    left_by_both = np.logical_and.reduce([left, *(attack.is_robust for attack in black_box)])
    best = min(black_box, key=lambda attack: int((left & attack.is_robust).sum()))
    return decided(
        name,
        question,
        fired=is_ahead(left, left_by_both, significance=limits.significance, limits=limits),
        finding=f"{int((left & ~left_by_both).sum())} of the {int(left.sum())} clips that withstand every attack by "
        f"the gradient fall to another, {int((left & ~best.is_robust).sum())} of them to {best.label}",
    )


def strongest(attacks: Sequence[AttackOutcome]) -> AttackOutcome:
    """The one that leaves the fewest clips."""
    return min(attacks, key=lambda attack: float(attack.is_robust.mean()))
