"""The uncertainty of several trainings measured on the same clips: seeds and clips are both samples of many more.

Every training meets every clip, so the two are crossed, as readers and cases are where several radiologists read the
same images (Obuchowski and Rockette 1995, Communications in Statistics - Simulation and Computation 24, 285-308).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import t as student

from evaluation.intervals import CONFIDENCE, Interval, Resampling, mcnemar

ROUNDING = 1e-9
"""A standard error below this is none."""

Outcomes = Bool[np.ndarray, "_ clips"]
"""True where a training's model is right on a clip: a row per training, of which methods may have unlike numbers."""


@dataclass(frozen=True)
class Estimate:
    """A share of the clips, or a difference of two such shares."""

    value: float
    interval: Interval
    deviation: float | None
    """Standard deviation between trainings (n - 1); None = a single training, or a difference."""
    p_value: float
    """Two-sided, of the hypothesis that the value is 0; 1.0 where none is tested."""


@dataclass(frozen=True)
class Draws:
    """One set of bootstrap draws of clips for all methods, so that differences are paired, and the seed of the rest."""

    clips: Resampling
    seed: int

    @classmethod
    def draw(cls, num_clips: int, *, num_draws: int, seed: int) -> Draws:
        """Draw the clips `num_draws` times."""
        return cls(Resampling.draw(num_clips, num_draws=num_draws, seed=seed), seed)

    def share(self, outcomes: Outcomes) -> Estimate:
        """The mean share of right clips over trainings, and its interval over clips and trainings."""
        value = float(outcomes.mean())
        if len(outcomes) == 1:
            return Estimate(value, self.clips.share(outcomes[0]), None, 1.0)
        deviation = float(outcomes.mean(1).std(ddof=1))
        error, freedom = self._error([outcomes])
        if error < ROUNDING:  # every training is right on every clip, or wrong on every one
            return Estimate(value, self.clips.share(outcomes[0]), deviation, 1.0)
        return Estimate(value, _around(value, error, freedom, lowest=0.0), deviation, 1.0)

    def difference(self, first: Outcomes, second: Outcomes) -> Estimate:
        """share(first) - share(second) over the same clips.

        One training each: the percentile bootstrap over clips and McNemar's exact test, about these two models. More: a
        t interval and test whose standard error is that of a bootstrap over trainings and clips, about the methods.
        """
        value = float(first.mean() - second.mean())
        if len(first) == len(second) == 1:
            wins, losses = count_differing(first[0], second[0])
            return Estimate(value, self.clips.difference(first[0], second[0]), None, mcnemar(wins, losses))
        error, freedom = self._error([first, second])
        if error < ROUNDING:  # neither trainings nor clips vary: all agree, or all differ the same way
            interval = self.clips.difference(first[0], second[0])
            return Estimate(value, interval, None, mcnemar(*count_differing(first[0], second[0])))
        p_value = 2.0 * float(student.sf(abs(value) / error, freedom))
        return Estimate(value, _around(value, error, freedom, lowest=-1.0), None, p_value)

    def _error(self, methods: list[Outcomes]) -> tuple[float, float]:
        """Standard error of a share, or of the difference of two, and its degrees of freedom.

        Clips are drawn for both methods at once, the trainings of each on their own; of n trainings n - 1 are drawn,
        which makes the variance of few unbiased (Rao and Wu 1988, JASA 83, 231-241). Drawing both ways counts what a
        training does to single clips three times (the pigeonhole bootstrap, Owen 2007, Annals of Applied Statistics 1,
        386-411): two of them are taken off. Degrees of freedom after Satterthwaite 1946 (Biometrics Bulletin 2,
        110-114), of the trainings' part for each method and the clips' part.
        """
        signs = (1.0, -1.0)[: len(methods)]
        signed = list(zip(signs, methods, strict=True))
        drawn = sum(sign * self._drawn(each, number) for number, (sign, each) in enumerate(signed))
        per_clip = sum(sign * each.mean(0) for sign, each in signed)
        parts = [(float(np.var(per_clip, ddof=1)) / len(per_clip), len(per_clip) - 1)] if len(per_clip) > 1 else []
        parts += [(float(each.mean(1).var(ddof=1)) / len(each), len(each) - 1) for each in methods if len(each) > 1]
        variance = float(np.var(drawn)) - 2.0 * sum(_interaction(each) for each in methods)
        variance = max(variance, *(part for part, _ in parts), 0.0)
        scatter = sum(part**2 / freedom for part, freedom in parts)
        return float(variance**0.5), variance**2 / scatter if scatter else float(self.clips.weights.shape[1])

    def _drawn(self, outcomes: Outcomes, method: int) -> Float[np.ndarray, " draws"]:
        """The share of right clips in every draw of clips and trainings."""
        num_draws, num_clips = self.clips.weights.shape
        per_training = self.clips.weights @ outcomes.T / num_clips
        count = len(outcomes)
        if count == 1:
            return np.asarray(per_training[:, 0])
        random = np.random.default_rng((self.seed, method, count))
        chosen = random.multinomial(count - 1, np.full(count, 1.0 / count), size=num_draws) / (count - 1)
        return np.asarray((chosen * per_training).sum(1))


def count_differing(first: Bool[np.ndarray, " clips"], second: Bool[np.ndarray, " clips"]) -> tuple[int, int]:
    """Clips that only the first has right, and those that only the second has."""
    return int((first & ~second).sum()), int((second & ~first).sum())


def smallest_p_value(num_first: int, num_second: int) -> float:
    """The smallest p-value that an exact test between so many trainings can give, whatever they are like.

    If methods do not differ, each way to divide the trainings among them is as likely: of the C(n + m, n) ways two are
    as uneven as every training of the one being better than every one of the other.
    """
    return min(1.0, 2.0 / math.comb(num_first + num_second, num_first))


def _interaction(outcomes: Outcomes) -> float:
    """The part of the variance of a mean that is neither the trainings' nor the clips': its residual mean square."""
    trainings, clips = outcomes.shape
    if trainings == 1 or clips == 1:
        return 0.0
    residual = outcomes - outcomes.mean(0) - outcomes.mean(1, keepdims=True) + outcomes.mean()
    return float((residual**2).sum() / ((trainings - 1) * (clips - 1) * trainings * clips))


def _around(value: float, error: float, freedom: float, *, lowest: float) -> Interval:
    """The t interval around a value, within what shares and their differences can be."""
    reach = float(student.ppf(0.5 + CONFIDENCE / 2.0, freedom)) * error
    return (max(lowest, value - reach), min(1.0, value + reach))
