from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from preprocessing.storage import provenance
from preprocessing.storage.provenance import Provenance, device_name, project_version

ROOT = Path(__file__).resolve().parents[3]


def test_the_version_is_that_of_the_code_that_runs() -> None:
    assert f'version = "{project_version()}"' in (ROOT / "pyproject.toml").read_text()


def test_a_clone_knows_its_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
        done = subprocess.run(["git", "-C", tmp_path, *identity, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "--message", "Add a file")
    git("tag", "v1")
    head = git("rev-parse", "HEAD")
    assert provenance._commit_of_clone(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert provenance._commit_of_clone(tmp_path) == f"{head}-dirty"


def test_a_folder_inside_a_strangers_repository_is_no_clone(tmp_path: Path) -> None:
    (tmp_path / "site-packages").mkdir()
    subprocess.run(["git", "-C", tmp_path, "init", "--quiet"], check=True)
    assert provenance._commit_of_clone(tmp_path / "site-packages") is None


def test_a_damaged_repository_leaves_the_commit_unknown(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere")
    assert provenance._commit_of_clone(tmp_path) is None


def test_code_without_history_is_told_its_commit_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, "0123abc")
    assert provenance.commit.__wrapped__() == "0123abc"


def test_the_processor_has_a_name() -> None:
    assert device_name("cpu").strip()


def test_a_record_reads_as_a_sentence() -> None:
    made = Provenance(version="1.2", commit="0123456789abcdef-dirty", libraries={}, device="a processor")
    assert str(made) == "robust-audio-visual 1.2 (0123456789ab, with changes) on a processor"
    assert str(made.model_copy(update={"commit": None})) == "robust-audio-visual 1.2 on a processor"
