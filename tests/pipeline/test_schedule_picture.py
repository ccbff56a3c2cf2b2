from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pipeline.schedule_picture import draw_panels, draw_schedules, planned_lines
from pipeline.settings.load import load
from training.config import TrainConfig

CONFIGS = Path(__file__).parents[2] / "pipeline" / "configs" / "train"


@pytest.mark.parametrize(
    ("name", "rows"), [("standard", 1), ("tma_curriculum", 2), ("mixed_curriculum", 3), ("adaptive_curriculum", 2)]
)
def test_every_schedule_has_a_panel(tmp_path: Path, name: str, rows: int) -> None:
    """The learning rate and five schedules are two rows of three; shares of other attacks begin a third."""
    config = load(TrainConfig, CONFIGS / f"{name}.yaml", {"data": "data", "output": "output"})
    draw_schedules(config, tmp_path / "schedules.png")
    with Image.open(tmp_path / "schedules.png") as picture:
        assert picture.height == pytest.approx(2.3 * 130 * rows, abs=2)


def test_what_was_set_is_drawn_beside_the_plan(tmp_path: Path) -> None:
    """Each value in its own panel: the learning rate in the first, the attack's steps in the second."""
    config = load(TrainConfig, CONFIGS / "tma_curriculum.yaml", {"data": "data", "output": "output"})
    history = [{"epoch": 3.0, "curriculum/attack_steps": 2.0, "train/learning_rate": 1e-4}]
    figure = Figure()
    draw_panels(figure, planned_lines(config), config.epochs, history)
    dots = {axes.get_title(loc="left"): np.asarray(axes.lines[1].get_xydata()).tolist() for axes in figure.axes}
    found = {title: values for title, values in dots.items() if values}
    assert found == {"learning rate": [[3.0, 1e-4]], "gradient steps of the attack": [[3.0, 2.0]]}
    draw_schedules(config, tmp_path / "planned.png")
    draw_schedules(config, tmp_path / "done.png", history)
    assert (tmp_path / "planned.png").read_bytes() != (tmp_path / "done.png").read_bytes()
