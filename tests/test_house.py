from __future__ import annotations

import pytest

from tests.house import FILES_OPENED, PACKAGES, ROOT, Figure, figures, figures_of_files, main
from tests.reading_paths import GENERIC, VOCABULARY, paths


@pytest.mark.parametrize("figure", list(figures_of_files()), ids=lambda figure: figure.name)
def test_every_figure_is_within_its_limit(figure: Figure) -> None:
    assert figure.is_met, f"{figure.name}: {figure.value}, at most {figure.limit}\n" + "\n".join(figure.where)


@pytest.mark.parametrize("way", FILES_OPENED)
def test_few_files_are_opened_on_the_way_of_a_clip(way: str) -> None:
    opened = paths(PACKAGES)[way]
    assert len(opened) <= FILES_OPENED[way], "\n".join(opened)


@pytest.mark.parametrize(
    ("way", "files"),
    [
        ("CSV to shard", ("datasets/kinetics_sounds.py", "plan.py", "decoding/child.py", "storage/shards.py")),
        ("shard to batch", ("storage/stored_sample.py",)),
    ],
)
def test_the_ways_are_gone_to_their_ends(way: str, files: tuple[str, ...]) -> None:
    assert {f"preprocessing/{file}" for file in files} <= set(paths(PACKAGES)[way])


def test_what_need_not_be_opened_is_there() -> None:
    assert not [file for file in VOCABULARY.keys() | GENERIC.keys() if not (ROOT / file).is_file()]


def test_the_figures_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert len([line for line in printed if line.startswith("ok")]) == len(list(figures()))
