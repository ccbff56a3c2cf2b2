from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from evaluation.reporting.picture_style import (
    DARK,
    INK,
    LABEL_LENGTH,
    MODELS,
    dot_with_interval,
    in_dark,
    label,
    named_rows,
    panel_grid,
    panels,
)

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("num_panels", "columns", "grid"), [(1, 3, (1, 1)), (3, 3, (1, 3)), (4, 3, (2, 3))])
def test_panels_fill_rows_of_so_many_columns(num_panels: int, columns: int, grid: tuple[int, int]) -> None:
    figure = Figure()
    found = panels(figure, num_panels, columns=columns)
    assert panel_grid(num_panels, columns=columns) == grid
    assert len(found) == num_panels
    assert sum(axes.get_visible() for axes in figure.axes) == num_panels


def test_the_first_of_named_rows_is_at_the_top_also_on_a_shared_axis() -> None:
    both = Figure().subplots(1, 2, sharey=True)
    for axes in both:
        named_rows(axes, ["one", "two"])
        dot_with_interval(axes, 0.5, (0.4, 0.7), 1, colour="black")
        low, high = axes.get_ylim()
        assert low > high
    assert [label.get_text() for label in both[0].get_yticklabels()] == ["one", "two"]


def test_no_other_module_sets_up_matplotlib() -> None:
    """Colours, fonts and the size of a pixel have one home; a figure is made and saved there."""
    setup = re.compile(r"rc_context|rcParams|Figure\(|savefig|\"tab:|dpi=")
    files = (
        path for stage in ("evaluation", "pipeline", "studies", "benchmarks") for path in (ROOT / stage).rglob("*.py")
    )
    found = {str(path.relative_to(ROOT)) for path in files if setup.search(path.read_text(encoding="utf-8"))}
    assert found == {"evaluation/reporting/picture_style.py"}


def test_every_colour_of_a_chart_has_one_for_dark_paper() -> None:
    assert in_dark(f"fill: {INK}; stroke: {MODELS[0]}; fill: #ffffff; fill: #123456") == (
        f"fill: {DARK[INK]}; stroke: {DARK[MODELS[0]]}; fill: {DARK['#ffffff']}; fill: #123456"
    )
    assert set(MODELS) <= DARK.keys()


def test_a_users_text_is_no_mathematics_and_stays_in_a_legend() -> None:
    assert label("a $x$\nb") == r"a \$x\$ b"
    assert label("_hidden") == " _hidden"
    assert len(label("word " * 30)) == LABEL_LENGTH
