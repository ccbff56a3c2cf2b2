"""The pages outside the site, which `mkdocs build --strict` does not see; and what holds for all of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.generator.pages import expanded
from tests.docs.pages import ALL, OUTSIDE, ROOT, SITE, headings, links, name_of


class Loader(yaml.SafeLoader):
    """YAML as MkDocs reads it."""


def test_readme_has_at_most_200_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", OUTSIDE, ids=name_of)
def test_every_link_of_a_page_outside_the_site_leads_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        target = (page.parent / file) if file else page
        assert target.exists(), file
        if anchor:
            assert anchor in headings(expanded(target.read_text())), f"{file}#{anchor}"


def test_the_picture_of_readme_is_small() -> None:
    [picture] = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert (ROOT / picture).stat().st_size < 200_000


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_a_page_names_files_of_the_project_that_exist(page: Path) -> None:
    packages = "preprocessing|training|evaluation|pipeline|benchmarks|studies|docs|tests"
    named = re.findall(rf"`((?:{packages})/[\w/.]*)`", page.read_text())
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_the_navigation_lists_every_page_once() -> None:
    config: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    listed = list(leaves(config["nav"]))
    assert sorted(listed) == sorted(page.relative_to(ROOT / "docs").as_posix() for page in SITE)


def leaves(tree: Any) -> Any:
    if isinstance(tree, str):
        yield tree
        return
    for each in tree.values() if isinstance(tree, dict) else tree:
        yield from leaves(each)


def test_pre_commit_runs_the_tools_of_make_lint_from_this_folder_alone() -> None:
    """All but the measured shape of the code, for which clips are decoded and attacked."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    *recipe, shape = lint_recipe().strip().splitlines()
    assert shape.strip() == "$(BIN)/python -m tests.house"
    tools = set(re.findall(r"\$\(BIN\)/(\S+(?: (?:format|check))?)", "\n".join(recipe)))
    assert {hook["entry"].removeprefix(".venv/bin/").removesuffix(" .") for hook in hooks} == tools


def lint_recipe() -> str:
    return (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]


def test_the_version_is_told_alike_everywhere() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert f"## [{version[1]}]" in (ROOT / "CHANGELOG.md").read_text()
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version[1]


def test_every_package_says_that_it_is_typed_and_ships_the_mark() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for package in ("preprocessing", "training", "evaluation", "pipeline"):
        assert (ROOT / package / "py.typed").exists()
        assert re.search(rf'^{package} = \["py.typed"', project, re.MULTILINE)
