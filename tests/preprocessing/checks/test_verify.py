"""Whether verification finds everything that can be wrong with a data set, and names it."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from preprocessing.checks.verify import repair_command, verify
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from preprocessing.storage.records import load_index

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture
def copied(tiny_dataset: Path, tmp_path: Path) -> Path:
    """A data set to damage."""
    return shutil.copytree(tiny_dataset, tmp_path / "shards")


def cut(root: Path) -> None:
    shard = root / "train/000001.tar"
    shard.write_bytes(shard.read_bytes()[:-512])


def flip(root: Path) -> None:
    shard = root / "test/000000.tar"
    data = bytearray(shard.read_bytes())
    data[1000] ^= 4
    shard.write_bytes(data)


def edit(name: str, **changes: Any) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        content = json.loads((root / name).read_text())
        (root / name).write_text(json.dumps(content | changes))

    return apply


def swap_shards(root: Path) -> None:
    """Shard and record together: each is whole, but not what was planned."""
    for ending in ("tar", "json"):
        (root / f"train/000000.{ending}").write_bytes((root / f"train/000001.{ending}").read_bytes())


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a cut shard": (cut, r"train/000001\.tar' has .* bytes, its record says"),
    "a flipped bit": (flip, r"test/000000\.tar' has SHA-256 .* bytes have changed"),
    "a lost shard": (lambda root: (root / "train/000000.tar").unlink(), r"train/000000\.tar' is missing"),
    "a lost record": (lambda root: (root / "train/000000.json").unlink(), r"the record of .* cannot be read"),
    "a torn record": (lambda root: (root / "train/000000.json").write_text("{"), r"the record of .* cannot be read"),
    "an exchanged shard": (swap_shards, r"is the record of 'train/000001\.tar'; allowed: of 'train/000000\.tar'"),
    "a wrong count": (
        edit("dataset.json", num_clips={"train": 25, "validation": 8, "test": 8}),
        r"split 'train' has 24 clips, dataset\.json says 25",
    ),
    "a wrong content hash": (edit("dataset.json", content_sha256="0"), r"content_sha256 does not follow"),
    "another plan": (edit("plan.json", classes=["a", "b", "c", "d"]), r"plan\.json' has changed"),
    "a lost plan": (lambda root: (root / "plan.json").unlink(), r"plan\.json' cannot be read"),
    "a lost table": (lambda root: (root / "rejected.csv").unlink(), r"rejected\.csv' cannot be read"),
    "a longer table": (
        lambda root: (root / "rejected.csv").write_text("file,split,reason,detail\na,train,crash,b\n"),
        r"rejected\.csv' lists 1 videos, dataset\.json says 0",
    ),
    "a stranger": (lambda root: (root / "train/000009.tar").touch(), r"000009\.tar' belongs to no shard"),
    "a draft": (lambda root: (root / f"train/{TEMPORARY_PREFIX}x").touch(), r"was left by a killed run"),
    "no index": (lambda root: (root / "dataset.json").unlink(), r"is not a finished data set"),
    "a torn index": (lambda root: (root / "dataset.json").write_text("{"), r"dataset\.json' is damaged"),
}


def test_a_whole_data_set_has_no_problem_wherever_it_lies(copied: Path) -> None:
    assert verify(str(copied)) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(damage: str, copied: Path) -> None:
    apply, said = DAMAGES[damage]
    apply(copied)
    problems = "\n".join(verify(str(copied)))
    assert re.search(said, problems), problems


def test_every_damaged_shard_is_named_and_only_those(copied: Path) -> None:
    cut(copied)
    flip(copied)
    *problems, advice = verify(str(copied))
    assert [problem.partition("' ")[0].removeprefix(f"'{copied}/") for problem in problems] == [
        "train/000001.tar",
        "test/000000.tar",
    ]
    assert advice.endswith(" repair=true")


def test_the_command_holds_the_settings_that_are_not_defaults(tiny_dataset: Path) -> None:
    index = load_index(str(tiny_dataset))
    command = repair_command(index)
    assert command.startswith("python -m pipeline preprocess dataset.name=kinetics_sounds ")
    for word in (f"output={tiny_dataset}", "format.segment_seconds=0.5", "shard_size=10", "repair=true"):
        assert f" {word}" in command
    assert "jpeg_quality" not in command


def test_a_long_verification_says_how_far_it_is(
    tiny_dataset: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preprocessing.reporting.progress.SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO):
        verify(str(tiny_dataset))
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("verified")]
    assert lines[-1].startswith("verified 5/5 shards, 0 damaged, 0 s left")
