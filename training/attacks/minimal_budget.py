"""The minimal budget: the smallest fraction of the threat's budgets that an attack needs, clip by clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from training.attacks.apgd import APGD
from training.attacks.base import Attack, frozen
from training.attacks.engine.best_attempt import measured_margin, replaced
from training.batch import Batch
from training.models.classifier import Outputs
from training.passes import Passes
from training.threat import ThreatModel

if TYPE_CHECKING:
    from training.attacks.base import Attack as AnyAttack  # at run time `any_attack.py` says which attacks there are


class MinimalBudget(Attack):
    """Bisection for the smallest fraction f of both budgets at which an attack fools the model.

    f* = min {k / 2^rounds : model(A(x; f epsilon)) is wrong}, per clip, as far as more budget makes the attack no worse
    (the robust radius of a clip by an attack, as in Madry et al. 2018, arXiv:1706.06083, Figure 6, but per clip). In a
    round the clips of one fraction are attacked together, which is exact because an attack's result does not depend on
    the batch. Costs rounds + 1 times the attack and a look at its result, and a look at the clean clip; a clip that
    withstands the full budget has one attack alone.
    """

    name: Literal["minimal_budget"] = "minimal_budget"
    attack: AnyAttack = Field(default=APGD())
    """The attack that is tried at each budget."""
    rounds: Annotated[int, Field(ge=1, le=20)] = 8
    """Bisections; the fraction is known to 1 / 2^rounds."""

    @property
    def cost(self) -> Passes:
        """One attack and look at the full budget and per round, and a look at the clean clip."""
        return Passes(1, 0) + (self.attack.cost + Passes(1, 0)) * (1 + self.rounds)

    def obstacle(self, outputs: Outputs) -> str:
        """That of the attack that is tried."""
        return self.attack.obstacle(outputs)

    def aimed(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Batch:
        """The clips with the targets of the attack that is tried."""
        return self.attack.aimed(model, batch, generator)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Each clip within its smallest budget; where the full one does not suffice, the attempt that had all of it.

        A clip that is wrong untouched needs none: it is attacked once with the smallest budget of the grid.
        """
        return self._search(model, batch, threat, generator)[0]

    def smallest_factors(
        self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator
    ) -> Float[Tensor, " batch"]:
        """The smallest fraction of the threat's budgets per clip, a multiple of 1 / 2^rounds.

        0 where the model is wrong untouched, infinite where the full budget does not suffice.

        Raises:
            ValueError: if the threat model or the attack's target cannot apply to these clips.
        """
        threat.check(batch)
        with frozen(model):
            return self._search(model, self.aimed(model, batch, generator), threat, generator)[1]

    def _search(
        self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator
    ) -> tuple[Batch, Float[Tensor, " batch"]]:
        """Clips and factors; low and high are the largest grid point that failed and the smallest that sufficed."""
        full = 2**self.rounds
        low = torch.zeros(len(batch), dtype=torch.long, device=batch.labels.device)
        is_wrong = measured_margin(model, batch) > 0
        high = torch.where(is_wrong, 1, full)  # between 0 and 1 the grid has nothing to bisect
        result = batch
        is_found = torch.zeros_like(is_wrong)
        tried = high
        for _ in range(1 + self.rounds):
            for level in sorted(set(tried[tried > 0].tolist())):
                rows = (tried == level).nonzero()[:, 0]
                clips = batch.select(rows)
                attempt = self.attack(model, clips, threat.scaled(level / full), generator)
                fools = measured_margin(model, attempt.with_targets(clips.targets)) > 0
                kept = fools | (level == high[rows]) & ~is_found[rows]
                result = replaced(result, rows[kept], attempt.select(kept.nonzero()[:, 0]))
                is_found[rows] |= fools
                high[rows] = torch.where(fools, level, high[rows])
                low[rows] = torch.where(fools, low[rows], level)
            is_open = is_found & ~is_wrong & (high - low > 1)
            tried = torch.where(is_open, (low + high) // 2, 0)
        factors = torch.where(is_found, high.double() / full, torch.inf)
        return result, torch.where(is_wrong, 0.0, factors)
