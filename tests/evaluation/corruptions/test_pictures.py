from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.corruptions.config import Perturbed
from evaluation.corruptions.pictures import draw_curves, draw_heat_map
from evaluation.corruptions.summary import summarise
from tests.evaluation.corruptions.hand_made import ERRORS, FACTS, config_of, measured


@pytest.mark.parametrize("perturbed", [("both", "video", "audio"), ("audio",)])
def test_charts_are_drawn_for_any_set_of_modalities(perturbed: tuple[Perturbed, ...], tmp_path: Path) -> None:
    config = config_of(perturbed=perturbed)
    report = summarise(measured(ERRORS), reference=None, config=config, facts=FACTS)
    for draw in (draw_curves, draw_heat_map):
        draw(report, tmp_path / "chart.png")
        picture = np.asarray(Image.open(tmp_path / "chart.png").convert("RGB"))
        assert min(picture.shape[:2]) > 150
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
