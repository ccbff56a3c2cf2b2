"""references.bib: the papers behind the attacks and objectives of a comparison, and this project's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evaluation.comparison.citations import Paper, papers_of
from evaluation.comparison.evaluations import Method
from evaluation.comparison.origins import origin_of
from evaluation.reporting.grid import escape_latex
from preprocessing.settings import plain


def bibliography(methods: Sequence[Method]) -> str:
    """BibTeX of what was used, by citation key."""
    papers = papers_of([each for method in methods for each in _used(method)])
    return "\n".join(entry(key, paper) for key, paper in papers.items())


def entry(key: str, paper: Paper) -> str:
    """One entry; the inner braces keep the title's capitals."""
    fields = {
        "title": f"{{{escape_latex(paper.title)}}}",
        "author": escape_latex(paper.authors),
        "booktitle": escape_latex(paper.venue),
        "year": str(paper.year),
    }
    if paper.arxiv:
        fields |= {"eprint": paper.arxiv, "archiveprefix": "arXiv"}
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@inproceedings{{{key},\n{lines}\n}}\n"


def _used(method: Method) -> Iterator[object]:
    """Attacks and objectives as plain data; of an objective whose checkpoint is gone its name alone."""
    for report in method.reports:
        yield plain(report.config.attacks)
        yield plain(report.config.reference_attack)
        yield {"name": report.objective}
        if origin := origin_of(report):
            yield origin.settings.get("objective")
