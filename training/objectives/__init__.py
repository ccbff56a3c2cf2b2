"""All training objectives. A new one is a file here, a line in `AnyObjective` and a row in the objective test table."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from training.objectives.base import Loss, Objective
from training.objectives.pgd_at import PGDAT
from training.objectives.standard import Standard
from training.objectives.tma_curriculum import TMACurriculum

AnyObjective = Annotated[Standard | PGDAT | TMACurriculum, Field(discriminator="name")]
"""Any objective, chosen by its `name`."""

__all__ = ["PGDAT", "AnyObjective", "Loss", "Objective", "Standard", "TMACurriculum"]
