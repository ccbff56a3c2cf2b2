"""The aims of the comparison, and what is measured for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.row import Row
from studies.training.costs import Cost
from studies.training.methods import CURRICULUM, PEER, STRONGEST
from studies.training.shares import Measured
from training.curriculum.monitoring import ROUNDING

MARGIN = 0.01
"""A method is near the strongest one if its worst case is no more than so much below."""


@dataclass(frozen=True)
class Results:
    """Measurements, by method."""

    cpu_seconds: dict[str, Cost]
    """CPU seconds of one training."""
    passes: dict[str, Cost]
    """Passes of one training: mean of forward and backward passes per training clip."""
    shares: dict[str, dict[str, Measured]]
    """`clean`, `joint`, `video`, `audio`: the share of clips that are right; differences are to the curriculum."""
    to_strongest: dict[str, Measured] = field(default_factory=dict)
    """`joint` of the methods that all seeds trained; differences are to the strongest. Empty if it was not trained."""

    def difference(self, name: str, kind: str) -> tuple[float, tuple[float, float]]:
        """The curriculum's share minus this method's, with its interval."""
        found = self.shares[kind][name]
        low, high = found.difference_interval
        return -found.difference, (-high, -low)

    def cost_ratio(self, name: str, to: str) -> float:
        """CPU seconds of one method over those of another, validation counted."""
        return self.cpu_seconds[name].total / self.cpu_seconds[to].total

    def cost_ratios(self, name: str, to: str) -> dict[str, object]:
        """All costs of one method over those of another."""
        return {
            "passes_ratio": self.passes[name].total / self.passes[to].total,
            "cpu_ratio_without_validation": self.cpu_seconds[name].training / self.cpu_seconds[to].training,
            "passes_ratio_without_validation": self.passes[name].training / self.passes[to].training,
        }


def headlines(results: Results) -> Iterator[Row]:
    """Cheaper than PGD-AT where robustness ties, no weaker than single-step training, and near TRADES at half its cost.

    Costs are CPU seconds, validation counted.
    """
    if PEER in results.passes:
        yield from _against_pgd_at(results)
    for name in ("FGSM-RS", "N-FGSM"):
        if name in results.passes:
            gain, interval = results.difference(name, "joint")
            detail = {"gain_interval": interval, "cpu_ratio": results.cost_ratio(CURRICULUM, name)}
            detail |= results.cost_ratios(CURRICULUM, name)
            yield Row(f"curriculum_gain_at_equal_cost ({name})", gain, "0 or more", detail)
    if results.to_strongest:
        yield _cheapest_near_the_strongest(results)


def _against_pgd_at(results: Results) -> Iterator[Row]:
    gain, interval = results.difference(PEER, "joint")
    ratio = results.cost_ratio(CURRICULUM, PEER)
    tied = interval[1] >= 0.0
    shown = ratio if tied else f"no tie: {100 * gain:+.1f} points at {ratio:.2f} of the cost"
    detail = {"gain": gain, "gain_interval": interval, **results.cost_ratios(CURRICULUM, PEER)}
    yield Row("curriculum_vs_pgd_at", shown, "0.35 or less", detail)
    gain, interval = results.difference(PEER, "clean")
    yield Row("curriculum_clean_gain_over_pgd_at", gain, "0 or more", {"gain_interval": interval})


def _cheapest_near_the_strongest(results: Results) -> Row:
    """The strongest is near itself, so there is always one."""
    near = [name for name, found in results.to_strongest.items() if found.difference >= -MARGIN - ROUNDING]
    cheapest = min(near, key=lambda name: results.cpu_seconds[name].total)
    found = results.to_strongest[cheapest]
    detail: dict[str, object] = {
        "method": cheapest,
        "difference": found.difference,
        "difference_interval": found.difference_interval,
        "near": near,
        **results.cost_ratios(cheapest, STRONGEST),
    }
    return Row("cheapest_near_trades", results.cost_ratio(cheapest, STRONGEST), "0.5 or less", detail)
