"""The list of checks: a check that fires withholds the headline number.

They follow Athalye et al. 2018 (arXiv:1802.00420, Section 3.1), Carlini et al. 2019 (arXiv:1902.06705), Tramer et al.
2020 (arXiv:2002.08347) and AutoAttack's (Croce & Hein 2020, arXiv:2003.01690).
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.config import CheckLimits
from evaluation.masking.attack_checks import (
    accuracy_falls_with_epsilon,
    many_steps_beat_one,
    unbounded_attack_succeeds,
    white_box_beats_black_box,
)
from evaluation.masking.check import AttackOutcome, Check
from evaluation.masking.clip_checks import (
    companions_change_nothing,
    forward_is_deterministic,
    gradients_are_usable,
    gradients_last_on_the_way,
    loss_rises_along_gradient,
    smoothing_finds_no_more,
)
from evaluation.stored.certificates import Certificates

COMPARING = frozenset(
    function.__name__
    for function in (
        many_steps_beat_one,
        accuracy_falls_with_epsilon,
        unbounded_attack_succeeds,
        white_box_beats_black_box,
    )
)
"""Names of the checks that compare what attacks did."""
JUDGED_ELSEWHERE = (
    "attacks are judged at other moments than they are made at, where a stronger one may do less; evaluate under known "
    "moments as well"
)


def run_checks(
    clips: Certificates,
    *,
    attacks: Sequence[AttackOutcome],
    curve: Sequence[AttackOutcome],
    unbounded: AttackOutcome,
    noise: AttackOutcome | None,
    attacked: Sequence[str],
    limits: CheckLimits,
    eot_samples: int = 1,
) -> tuple[Check, ...]:
    """Run all checks; of certificates of an earlier version those that need no more than they hold.

    Args:
        clips: certificates of any one measurement, for the facts about the clips.
        attacks: the attacks of the list and the transferred ones, under the same threat model.
        curve: the reference attack at rising epsilon.
        unbounded: the reference attack with room to do anything.
        noise: plain noise with the same room; None = an earlier version did not measure it.
        attacked: modalities with a budget.
        limits: when a check fires.
        eot_samples: passes whose gradients the attacks averaged.
    """
    checks = (
        *(gradients_are_usable(clips, modality=name, limits=limits) for name in attacked),
        forward_is_deterministic(clips, limits=limits, eot_samples=eot_samples),
        many_steps_beat_one(attacks, limits=limits),
        accuracy_falls_with_epsilon(curve, limits=limits),
        unbounded_attack_succeeds(clips, unbounded, noise, attacked=attacked, limits=limits),
    )
    if clips.version < 4:
        return checks
    checks = (
        *checks,
        *(loss_rises_along_gradient(clips, modality=name, limits=limits) for name in attacked),
        *(smoothing_finds_no_more(clips, modality=name, limits=limits) for name in attacked),
        companions_change_nothing(clips, limits=limits),
        white_box_beats_black_box(attacks, limits=limits),
    )
    if clips.version < 5:
        return checks
    return (*checks, *(gradients_last_on_the_way(clips, modality=name, limits=limits) for name in attacked))


def comparing_nothing(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The same checks where attacks are judged at other moments than they are made at: a stronger attack may rightly do
    less than a weaker one there, so those that compare attacks are not run."""
    unasked = {"outcome": "not_run", "finding": JUDGED_ELSEWHERE}
    return tuple(check.model_copy(update=unasked) if check.name in COMPARING else check for check in checks)
