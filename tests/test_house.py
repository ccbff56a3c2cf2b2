from __future__ import annotations

import pytest

from tests.house import Figure, figures, main

FIGURES = list(figures())


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_every_figure_is_within_its_limit(figure: Figure) -> None:
    assert figure.is_met, f"{figure.name}: {figure.value}, at most {figure.limit}\n" + "\n".join(figure.where)


def test_the_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert len([line for line in printed if line.startswith("ok")]) == len(FIGURES)
