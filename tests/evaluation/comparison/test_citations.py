"""The table of papers says what the docstrings of attacks and objectives say."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_args

import pytest

from evaluation.comparison.citations import CITED, PAPERS, THIS_PROJECT, papers_of
from preprocessing.settings import plain
from training.attacks import PGD, AnyAttack, MinimalBudget, WorstCase
from training.objectives import AWP, TRADES, AnyObjective

ARXIV = re.compile(r"\b(\d{4}\.\d{4,5})\b")
MEMBERS: dict[str, Any] = {
    each.model_fields["name"].default: each
    for union in (AnyAttack, AnyObjective)
    for each in get_args(get_args(union)[0])
}


def cited_by(member: type[Any]) -> set[str]:
    return set(ARXIV.findall(inspect.cleandoc(member.__doc__ or "")))


def test_every_attack_and_objective_is_in_the_table_and_no_name_stands_for_two() -> None:
    assert CITED.keys() == MEMBERS.keys()
    assert len(MEMBERS) == sum(len(get_args(get_args(union)[0])) for union in (AnyAttack, AnyObjective))


@pytest.mark.parametrize("name", MEMBERS)
def test_the_papers_of_a_member_are_those_that_its_docstring_numbers(name: str) -> None:
    """A class may leave the number to its module's docstring."""
    member = MEMBERS[name]
    numbers = {PAPERS[key].arxiv for key in CITED[name]} - {None}
    whole = set(ARXIV.findall((inspect.getmodule(member).__doc__ or "") if inspect.getmodule(member) else ""))
    assert cited_by(member) <= numbers <= cited_by(member) | whole


@pytest.mark.parametrize("name", MEMBERS)
def test_a_paper_without_a_number_is_named_by_author_year_and_title(name: str) -> None:
    said = " ".join(inspect.cleandoc(MEMBERS[name].__doc__ or "").split()).lower()
    for paper in (PAPERS[key] for key in CITED[name]):
        if paper.arxiv is None:
            surname = paper.authors.partition(" and ")[0].rpartition(" ")[2]
            assert surname.lower() in said
            assert str(paper.year) in said
            assert paper.title.lower() in said


def test_every_paper_is_cited_and_its_key_names_author_and_year() -> None:
    assert {key for keys in CITED.values() for key in keys} | {THIS_PROJECT} == PAPERS.keys()
    for key, paper in PAPERS.items():
        surname = paper.authors.partition(" and ")[0].split(" ", 1)[1].rpartition(". ")[2]
        assert key.startswith(surname.replace(" ", "").lower() + str(paper.year))
    numbers = [paper.arxiv for paper in PAPERS.values() if paper.arxiv]
    assert len(set(numbers)) == len(numbers)


def test_a_number_is_not_younger_than_its_paper() -> None:
    for paper in PAPERS.values():
        if paper.arxiv:
            assert 2000 + int(paper.arxiv[:2]) <= paper.year


def test_attacks_and_objectives_inside_others_are_found() -> None:
    used = [plain(WorstCase()), plain(AWP(objective=TRADES())), plain(MinimalBudget(attack=PGD()))]
    found = papers_of(used)
    assert {"croce2020reliable", "andriushchenko2020square", "wu2020weight", "zhang2019tradeoff"} <= found.keys()
    assert list(found) == sorted(found)
    assert list(papers_of([])) == [THIS_PROJECT]
