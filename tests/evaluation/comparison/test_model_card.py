from __future__ import annotations

from pathlib import Path

from evaluation.comparison.evaluations import read_methods
from evaluation.comparison.model_card import UNKNOWN, model_card
from evaluation.comparison.summary import summarise

SECTIONS = [
    "Model Details",
    "Intended Use",
    "Factors",
    "Metrics",
    "Evaluation Data",
    "Training Data",
    "Quantitative Analyses",
    "Ethical Considerations",
    "Caveats and Recommendations",
]
"""Mitchell et al. 2019, Figure 1."""


def card(number: int, folders: dict[str, tuple[Path, ...]]) -> str:
    methods = read_methods(folders)
    comparison = summarise(methods, num_draws=50, seed=0)
    return model_card(comparison.methods[methods[number].name], methods[number])


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


def test_a_card_has_the_sections_of_the_paper_in_its_order(standard: Path, robust: Path) -> None:
    text = card(0, {"standard": (standard,), "robust": (robust,)})
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == SECTIONS


def test_what_nobody_recorded_is_said_to_be_unknown(standard: Path, robust: Path) -> None:
    """Neither use nor ethics can be read from a report; the checkpoint is not there."""
    text = card(0, {"standard": (standard,), "robust": (robust,)})
    for title in ("Intended Use", "Ethical Considerations", "Training Data"):
        assert section(text, title) == UNKNOWN
    assert "| people, licence, contact | not recorded |" in section(text, "Model Details")
    assert "| architecture | not recorded: the checkpoint is not where it was |" in section(text, "Model Details")


def test_numbers_are_those_of_the_report(standard: Path, robust: Path) -> None:
    text = card(1, {"standard": (standard,), "robust": (robust,)})
    analyses = section(text, "Quantitative Analyses")
    assert "| no attack | 80.0 % |" in analyses
    assert "| worst case | 70.0 % |" in analyses
    assert r"| playing \<violin\> | 5 |" in analyses
    assert "20 clips of the split `test`" in section(text, "Evaluation Data")
    assert "up to 7/255" in section(text, "Metrics")
    assert "another seed gives others" in section(text, "Caveats and Recommendations")


def test_a_withheld_number_stays_withheld(standard: Path, masked: Path) -> None:
    text = card(1, {"standard": (standard,), "x_y%|": (masked,)})
    assert text.startswith("# Model card: x\\_y%\\|\n")
    assert "| worst case | withheld | - |" in text
    assert "(upper bounds)" in text
    assert "* **The worst case is withheld**: fog." in text


def test_every_training_is_named_by_its_weights(standard: Path, several: tuple[Path, ...]) -> None:
    text = card(1, {"standard": (standard,), "robust": several})
    assert section(text, "Model Details").count("| weights (SHA-256) |") == 3
    assert "another seed gives others" not in text
