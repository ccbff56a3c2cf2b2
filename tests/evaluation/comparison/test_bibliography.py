from __future__ import annotations

import re

from evaluation.comparison.bibliography import bibliography, entry
from evaluation.comparison.citations import PAPERS, Paper
from evaluation.comparison.evaluations import read_methods
from evaluation.config import EvaluateConfig
from tests.evaluation.comparison.conftest import Evaluated, first
from training.attacks import PGD, WorstCase


def keys(text: str) -> list[str]:
    return re.findall(r"^@inproceedings\{(\w+),$", text, re.MULTILINE)


def test_attacks_objectives_and_the_projects_own_paper_are_cited(evaluated: Evaluated, config: EvaluateConfig) -> None:
    """fgsm and pgd; an ensemble of AutoAttack's; objectives tma_curriculum and trades."""
    more = EvaluateConfig.model_validate(config.model_dump() | {"attacks": (PGD(steps=5), WorstCase())})
    one = evaluated(clean=first(18), attacked=first(2))
    other = evaluated(clean=first(18), attacked=first(2), config=more, objective="trades")
    text = bibliography(read_methods({"one": (one,), "other": (other,)}))
    assert {"goodfellow2015explaining", "madry2018resistant", "croce2020reliable", "croce2020fab"} <= set(keys(text))
    assert {"zhang2025rethinking", "zhang2019tradeoff"} <= set(keys(text))
    assert "wong2020fast" not in keys(text)
    assert keys(text) == sorted(keys(text))


def test_an_objective_that_nobody_recorded_is_not_cited(evaluated: Evaluated) -> None:
    folders = [evaluated(clean=first(18), attacked=first(2), objective=None) for _ in range(2)]
    text = bibliography(read_methods({"one": (folders[0],), "other": (folders[1],)}))
    assert keys(text) == ["goodfellow2015explaining", "madry2018resistant", "zhang2025rethinking"]


def test_every_entry_can_be_read_back() -> None:
    """Braces match, and each field is what the table says."""
    for key, paper in PAPERS.items():
        text = entry(key, paper)
        assert text.count("{") == text.count("}")
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", text, re.MULTILINE))
        assert fields["title"] == f"{{{paper.title}}}"
        assert fields["author"].split(" and ") == paper.authors.split(" and ")
        assert fields.get("eprint") == paper.arxiv
        assert fields["year"] == str(paper.year)


def test_what_latex_would_take_for_markup_is_escaped() -> None:
    assert r"title = {{50\% \& more}}" in entry("x", Paper("50% & more", "A B", "C", 2020, None))
