from __future__ import annotations

import pytest

from evaluation.config import EvaluateConfig
from evaluation.tasks.portions import require_resources
from preprocessing.errors import ResourceError


def settings(**changes: object) -> EvaluateConfig:
    return EvaluateConfig.model_validate({"checkpoint": "c", "data": "d", "output": "o", **changes})


def test_a_task_that_no_machine_could_take_is_refused_instead_of_waited_for(ray_session: None) -> None:
    require_resources(settings(cpus_per_worker=2, workers=50))
    with pytest.raises(ResourceError, match="take 3 CPU each: Ray has 2 CPU in all and 2 CPU on its largest node"):
        require_resources(settings(cpus_per_worker=3))
    with pytest.raises(ResourceError, match="take 1 CPU and 1 GPU each: Ray has 2 CPU, 0 GPU in all"):
        require_resources(settings(gpu=True))
