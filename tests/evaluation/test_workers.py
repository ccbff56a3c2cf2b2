from __future__ import annotations

import pytest

from evaluation.config import EvaluateConfig
from evaluation.workers import require_resources
from preprocessing.errors import ResourceError


def settings(**changes: object) -> EvaluateConfig:
    return EvaluateConfig.model_validate({"checkpoint": "c", "data": "d", "output": "o", **changes})


def test_a_task_that_no_machine_could_take_is_refused_instead_of_waited_for(ray_session: None) -> None:
    require_resources(settings(cpus_per_worker=2, workers=50))
    with pytest.raises(ResourceError, match="cpus_per_worker=3, but Ray has 2 CPU: lower it"):
        require_resources(settings(cpus_per_worker=3))
    with pytest.raises(ResourceError, match="gpus_per_worker=1, but Ray has 0 GPU: lower it"):
        require_resources(settings(gpus_per_worker=1))
