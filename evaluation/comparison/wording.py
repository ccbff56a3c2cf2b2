"""A comparison in words: which method is better, what is a tie, and what cannot be told."""

from __future__ import annotations

from itertools import combinations

from evaluation.comparison.crossed import Estimate, smallest_p_value
from evaluation.comparison.evaluations import CLEAN, WORST_CASE
from evaluation.comparison.result import Comparison
from evaluation.intervals import CONFIDENCE, Interval

SIGNIFICANCE = 1.0 - CONFIDENCE
"""A corrected p-value below this shows a difference."""


def is_tie(corrected_p_value: float) -> bool:
    """True where no difference is shown."""
    return not corrected_p_value < SIGNIFICANCE - 1e-12


def verdict(earlier: str, later: str, *, measure: str, found: Estimate, corrected: float, num_comparisons: int) -> str:
    """The better method by a measure, and by how much; or that it is a tie.

    Args:
        earlier: the method that is compared with.
        later: the other.
        measure: what was measured.
        found: later minus earlier.
        corrected: its p-value, corrected for all comparisons.
        num_comparisons: so many were made.
    """
    by = {CLEAN: "without attack", WORST_CASE: "in the worst case"}.get(measure, f"under {measure}")
    numbers = f"95 % interval {points_range(found.interval)}; {p_text(corrected)}" + (
        f" after Holm's correction for {num_comparisons} comparisons" if num_comparisons > 1 else ""
    )
    if not is_tie(corrected):
        better, worse = (later, earlier) if found.value > 0 else (earlier, later)
        return f"{better} is better than {worse} {by}: {points(found.value)} points for {later} ({numbers})."
    return f"{earlier} and {later} tie {by}: {points(found.value)} points for {later}, no difference shown ({numbers})."


def doubt(earlier: str, later: str, num_earlier: int, num_later: int) -> str | None:
    """The reason for which two methods cannot be told apart by so many trainings; None if there are enough."""
    smallest = smallest_p_value(num_earlier, num_later)
    if num_earlier == num_later == 1:
        return (
            f"{earlier} and {later} were trained once each: these two models can be told apart, the methods cannot, "
            "because another seed may turn the order around. Train each with several seeds."
        )
    if 1 in (num_earlier, num_later):
        once = earlier if num_earlier == 1 else later
        return (
            f"{once} was trained once: what is said of it holds for this one model, because nobody knows how its "
            "trainings differ. Train it with several seeds."
        )
    if smallest < SIGNIFICANCE:
        return None
    return (
        f"{num_earlier} trainings of {earlier} and {num_later} of {later} are too few to tell "
        f"the methods apart for certain: an exact test between trainings could not give less than p = {smallest:.2g}. "
        "Take what is said of the two as provisional, and train more seeds."
    )


def notes(comparison: Comparison) -> list[str]:
    """Sentences that a reader must know before the numbers."""
    found = []
    methods = comparison.methods
    if told := [f"{name}: {', '.join(each.left_out)}" for name, each in methods.items() if each.left_out]:
        count = len(comparison.first.attacks)
        shared = "the one attack" if count == 1 else f"the {count} attacks"
        found.append(
            f"The lists of attacks differ. Every number here, the worst case too, is over {shared} that all "
            f"evaluations have, so it may be higher than in a report of its own. Left out: {'; '.join(told)}."
        )
    models = {name: {each.model_sha256 for each in method.trainings} for name, method in methods.items()}
    found += [
        f"{first} and {second} measured the very same model."
        for first, second in combinations(methods, 2)
        if models[first] & models[second]
    ]
    return found


def points(difference: float) -> str:
    """A difference of shares in percentage points: `+12.0`."""
    return f"{100 * difference:+.1f}"


def points_range(interval: Interval) -> str:
    """`+4.0 to +20.0`."""
    return f"{points(interval[0])} to {points(interval[1])}"


def p_text(p_value: float) -> str:
    """`p = 0.012`; small ones by their bound."""
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"
