"""The start of a comparison: read finished evaluations, refuse what cannot be compared, write what was found."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.comparison import tables
from evaluation.comparison.bibliography import bibliography
from evaluation.comparison.comparable import require_comparable
from evaluation.comparison.evaluations import Folders, Method, named, read_methods
from evaluation.comparison.leaderboard import leaderboard
from evaluation.comparison.model_card import model_card
from evaluation.comparison.page import comparison_page
from evaluation.comparison.result import Comparison
from evaluation.comparison.summary import summarise
from preprocessing.errors import PlaceError
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.places import require_writable

COMPARISON_NAME = "comparison.json"
COMPARISON_PAGE_NAME = "comparison.html"

FILES = {
    COMPARISON_PAGE_NAME: "everything on one page",
    "comparison.md": "the tables as Markdown",
    "comparison.tex": "the tables for LaTeX (booktabs)",
    "accuracies.csv": "every accuracy in full",
    "differences.csv": "every difference in full",
    "leaderboard.jsonl": "a line per method with RobustBench's fields",
    "references.bib": "the papers of the attacks and objectives",
    "model_card": "a model card of each method, in the order given",
    COMPARISON_NAME: "every number",
}
"""The files of a comparison and what they hold."""

logger = logging.getLogger(__name__)


def compare(
    methods: Mapping[str, Folders] | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare finished evaluations: which method is better, by how much, and how sure that is.

        compare({"standard": "runs/standard", "robust": ["runs/robust_0", "runs/robust_1"]}, "runs/comparison")

    Args:
        methods: name -> folder of its evaluation, or folders, one for each training with another seed; or folders
            alone, which are then called by their last part. Differences are told from the earlier to the later.
        output: folder for the files (`FILES` says which); None = nothing is written.
        num_resamples: bootstrap draws behind each interval.
        seed: of the bootstrap.

    Raises:
        SettingsError: if there are fewer than two methods, or two of one name.
        PlaceError: if a folder holds no finished evaluation, or `output` cannot be written.
        DataError: if an evaluation cannot be read, or two are not of the same clips, data, split and threat, or have no
            attack in common.
    """
    if output is not None:
        _require_folder(output)
    read = read_methods(named(methods))
    require_comparable(read)
    comparison = summarise(read, num_draws=num_resamples, seed=seed)
    if output is not None:
        page = comparison_page(comparison, read, num_draws=num_resamples, seed=seed)
        _write({COMPARISON_PAGE_NAME: page, **_texts(comparison, read)}, Path(output))
    return comparison


def _require_folder(output: str | Path) -> None:
    if "://" in str(output):
        raise PlaceError(f"output='{output}' is a URL; it must be a folder")
    require_writable(output)


def _write(texts: Mapping[str, str], folder: Path) -> None:
    """Write every file; cards of methods that an earlier comparison had are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("model_card_*.md"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        write_text(folder / name, text)
    logger.info("%s", "\n".join([f"wrote into {folder}:", *(f"  {name}: {FILES[_kind(name)]}" for name in texts)]))


def _texts(comparison: Comparison, methods: Sequence[Method]) -> dict[str, str]:
    """Every file but the page, by name."""
    entries = {name: method.model_dump(mode="json") for name, method in comparison.methods.items()}
    cards = {
        f"model_card_{number}.md": model_card(comparison.methods[method.name], method)
        for number, method in enumerate(methods, start=1)
    }
    return {
        "comparison.md": tables.markdown(comparison),
        "comparison.tex": tables.latex(comparison),
        "accuracies.csv": tables.accuracies_csv(comparison),
        "differences.csv": tables.differences_csv(comparison),
        "leaderboard.jsonl": leaderboard(comparison, methods),
        "references.bib": bibliography(methods),
        **cards,
        COMPARISON_NAME: json.dumps(entries, indent=2, ensure_ascii=False) + "\n",
    }


def _kind(name: str) -> str:
    return "model_card" if name.startswith("model_card") else name
