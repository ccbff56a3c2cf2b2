"""From evaluations to a comparison: every number of comparison.json is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from evaluation.comparison.comparable import common_attacks, left_out, saw_every_clip
from evaluation.comparison.crossed import Draws, Estimate, count_differing
from evaluation.comparison.evaluations import CLEAN, WORST_CASE, Evaluation, Method
from evaluation.comparison.result import ComparedAttack, ComparedMethod, Comparison, Difference, Doubt, Training
from evaluation.comparison.wording import doubt, is_tie, verdict
from evaluation.intervals import holm


@dataclass(frozen=True)
class _Test:
    """One comparison that was made: later minus earlier."""

    earlier: Method
    later: Method
    measure: str
    found: Estimate


def summarise(methods: Sequence[Method], *, num_draws: int, seed: int) -> Comparison:
    """Compute every number of a comparison; the evaluations must be comparable."""
    attacks = common_attacks(methods)
    alone = [each for each in attacks if saw_every_clip(methods, each)]
    num_clips = methods[0].reports[0].num_clips
    draws = Draws.draw(num_clips, num_draws=num_draws, seed=seed)
    differences = _corrected(list(_tests(methods, attacks, alone, draws)), attacks)
    ranks = _ranks(methods, differences)
    return Comparison(
        {
            method.name: ComparedMethod(
                **_shares(method, attacks, alone, draws),
                rank=ranks[method.name],
                left_out=left_out(method, attacks),
                differences=differences[method.name],
                doubts=_doubts(methods[:number], method),
                num_comparisons=sum(map(len, differences.values())),
            )
            for number, method in enumerate(methods)
        }
    )


def _shares(method: Method, attacks: Sequence[str], alone: Sequence[str], draws: Draws) -> dict[str, object]:
    """A method's own numbers."""
    first = method.reports[0]
    clean = draws.share(method.outcomes(CLEAN, attacks))
    worst = None if method.is_withheld else draws.share(method.outcomes(WORST_CASE, attacks))
    return {
        "clean_accuracy": clean.value,
        "clean_accuracy_interval": clean.interval,
        "clean_accuracy_deviation": clean.deviation,
        "worst_case_robust_accuracy": worst.value if worst else None,
        "worst_case_robust_accuracy_interval": worst.interval if worst else None,
        "worst_case_robust_accuracy_deviation": worst.deviation if worst else None,
        "withheld": method.reasons,
        "threat": first.threat,
        "split": first.config.split,
        "num_clips": first.num_clips,
        "dataset_content_sha256": first.dataset_content_sha256,
        "objective": first.objective,
        "attacks": tuple(_attack(method, attack, attacks, draws) for attack in alone),
        "trainings": tuple(_training(each, attacks) for each in method.evaluations),
    }


def _attack(method: Method, attack: str, attacks: Sequence[str], draws: Draws) -> ComparedAttack:
    robust, clean = method.outcomes(attack, attacks), method.outcomes(CLEAN, attacks)
    found = draws.share(robust)
    return ComparedAttack(
        name=attack,
        threat=method.reports[0].threat,
        robust_accuracy=found.value,
        robust_accuracy_interval=found.interval,
        robust_accuracy_deviation=found.deviation,
        attack_success_rate=float(1.0 - robust.sum() / clean.sum()) if clean.any() else None,
    )


def _training(evaluation: Evaluation, attacks: Sequence[str]) -> Training:
    report = evaluation.report
    worst = None if report.withheld else float(evaluation.is_right(WORST_CASE, attacks).mean())
    return Training(
        folder=evaluation.folder,
        clean_accuracy=report.clean_accuracy,
        worst_case_robust_accuracy=worst,
        model_sha256=report.model_sha256,
        trained_with=report.trained_with,
        provenance=report.provenance,
    )


def _tests(methods: Sequence[Method], attacks: Sequence[str], alone: Sequence[str], draws: Draws) -> list[_Test]:
    """Every comparison, each pair by each measure; robust accuracies only where neither headline is withheld.

    The worst case is taken over `attacks`; those that saw every clip, `alone`, are compared each by itself, too.
    """
    found = []
    for earlier, later in combinations(methods, 2):
        is_withheld = earlier.is_withheld or later.is_withheld
        for measure in [CLEAN] if is_withheld else [CLEAN, *alone, WORST_CASE]:
            outcomes = later.outcomes(measure, attacks), earlier.outcomes(measure, attacks)
            found.append(_Test(earlier, later, measure, draws.difference(*outcomes)))
    return found


def _corrected(tests: Sequence[_Test], attacks: Sequence[str]) -> dict[str, tuple[Difference, ...]]:
    """All comparisons by the later method, their p-values corrected for all of them together."""
    corrected = holm([test.found.p_value for test in tests])
    found: dict[str, tuple[Difference, ...]] = {}
    for test, p_value in zip(tests, corrected, strict=True):
        found.setdefault(test.earlier.name, ())
        difference = _difference(test, p_value, attacks, num_comparisons=len(tests))
        found[test.later.name] = (*found.get(test.later.name, ()), difference)
    return found


def _difference(test: _Test, corrected: float, attacks: Sequence[str], *, num_comparisons: int) -> Difference:
    wins, losses = None, None
    if len(test.earlier.evaluations) == len(test.later.evaluations) == 1:
        outcomes = [each.outcomes(test.measure, attacks)[0] for each in (test.later, test.earlier)]
        wins, losses = count_differing(*outcomes)
    return Difference(
        over=test.earlier.name,
        measure=test.measure,
        difference=test.found.value,
        interval=test.found.interval,
        wins=wins,
        losses=losses,
        p_value=test.found.p_value,
        corrected_p_value=corrected,
        is_tie=is_tie(corrected),
        verdict=verdict(
            test.earlier.name,
            test.later.name,
            measure=test.measure,
            found=test.found,
            corrected=corrected,
            num_comparisons=num_comparisons,
        ),
    )


def _ranks(methods: Sequence[Method], differences: dict[str, tuple[Difference, ...]]) -> dict[str, int | None]:
    """1 + the number of methods shown to be better in the worst case; withheld ones are not ranked."""
    ranks = {method.name: None if method.is_withheld else 1 for method in methods}
    for later, found in differences.items():
        for each in found:
            if each.measure != WORST_CASE or each.is_tie:
                continue
            worse = each.over if each.difference > 0 else later
            ranks[worse] = (ranks[worse] or 0) + 1
    return ranks


def _doubts(earlier: Sequence[Method], method: Method) -> tuple[Doubt, ...]:
    pairs = [
        (each.name, doubt(each.name, method.name, len(each.evaluations), len(method.evaluations))) for each in earlier
    ]
    return tuple(Doubt(over=name, sentence=sentence) for name, sentence in pairs if sentence)
