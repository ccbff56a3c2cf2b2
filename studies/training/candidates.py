"""The peers with the curriculum's means: the settings that each is tried with.

None takes more than 0.35 of the passes of PGD-AT 5, validation counted; where the clips of an epoch cost more than that
leaves, there are fewer epochs.
"""

from __future__ import annotations

from pipeline.settings.load import override
from studies.training.methods import Method, curriculum
from training.objectives import NFGSM, PGDAT, TRADES, FastAT, Objective

TO_1_5, TO_2, TO_2_5 = ({"name": "linear", "start": 1.0, "end": end} for end in (1.5, 2.0, 2.5))
TO_MOST = {"name": "linear", "start": 0.25, "end": 0.75}
TO_THREE_STEPS = {"name": "piecewise", "points": [[0.65, 1], [0.9, 3]]}


def candidates() -> dict[str, tuple[Method, ...]]:
    """Four settings of each method, by its name."""
    return {
        "TRADES, growing": (  # its loss alone takes two passes
            _growing(TRADES(), TO_2, 0.25, 1, epochs=0.7),
            _growing(TRADES(beta=3.0), TO_2, 0.25, 1, epochs=0.7),
            _growing(TRADES(beta=12.0), TO_2, 0.25, 1, epochs=0.7),
            _growing(TRADES(), TO_1_5, 0.25, 1, epochs=0.7),
        ),
        "FGSM-RS, growing": (
            _growing(FastAT(), TO_2, TO_MOST),
            _growing(FastAT(), TO_1_5, TO_MOST),
            _growing(FastAT(), TO_2_5, TO_MOST),
            _growing(FastAT(), TO_2, 1.0, epochs=0.8),
        ),
        "curriculum, tuned": (
            _growing(curriculum(), TO_2, TO_MOST, TO_THREE_STEPS, epochs=0.85),
            _growing(curriculum(), TO_2_5, TO_MOST, TO_THREE_STEPS, epochs=0.85),
            _growing(curriculum(), TO_2, TO_MOST, 1),
            _growing(curriculum(), TO_2_5, TO_MOST, 1),
        ),
        "PGD-AT, growing": (
            _growing(PGDAT(), TO_2, TO_MOST, TO_THREE_STEPS, epochs=0.85),
            _growing(PGDAT(), TO_2, 0.25, TO_THREE_STEPS),
            _growing(PGDAT(), TO_2_5, 0.25, TO_THREE_STEPS),
            _growing(PGDAT(), TO_2, 0.25, 2),
        ),
        "N-FGSM, growing": (
            _growing(NFGSM(), TO_2, TO_MOST),
            _growing(NFGSM(), TO_1_5, TO_MOST),
            _growing(NFGSM(), TO_2, 0.25),
            _growing(NFGSM(), TO_1_5, 1.0, epochs=0.8),
        ),
    }


def _growing(
    objective: Objective, budget: object, ratio: object, steps: object = None, *, epochs: float = 1.0
) -> Method:
    """The objective with a curriculum of its own, and the share of the epochs that it is given."""
    schedules = {"epsilon_factor": budget, "sampling_ratio": ratio, "attack_steps": steps}
    changes = {f"curriculum.{name}": value for name, value in schedules.items() if value is not None}
    return Method(override(objective, changes), epochs_factor=epochs)
