"""What can be set, and what a setting changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Dataset, Demo, Folder, KineticsSounds, Music, VideoList

CONFIGS = Path(__file__).parents[2] / "pipeline/configs/preprocess"


def config(**changes: Any) -> PreprocessConfig:
    return PreprocessConfig.model_validate(
        {"dataset": {"name": "folder", "root": "/videos"}, "output": "/shards"} | changes
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("kinetics_sounds", KineticsSounds), ("music", Music), ("folder", Folder), ("demo", Demo)]
)
def test_the_name_chooses_the_data_set(name: str, kind: type) -> None:
    assert type(config(dataset={"name": name, "root": "/videos"}).dataset) is kind


@pytest.mark.parametrize("kind", [KineticsSounds, Music, Folder, VideoList, Demo])
def test_places_are_settings_and_all_settings_that_are_paths(kind: type[Dataset]) -> None:
    paths = {name for name, field in kind.model_fields.items() if "Path" in str(field.annotation)}
    assert set(kind.places) == paths


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: str(path.stem))
def test_every_shipped_file_needs_no_more_than_two_folders(path: Path) -> None:
    raw = yaml.safe_load(path.read_text())
    raw["dataset"].setdefault("root", "/videos")
    PreprocessConfig.model_validate({"output": "/shards"} | raw)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="shard_sise"):
        config(shard_sise=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"output": "/elsewhere"},
        {"workers": 3},
        {"max_rejected_share": 0.9},
        {"limits": {"clip_seconds": 5}},
        {"dataset": {"name": "folder", "root": "/moved"}},
        {"dataset": {"name": "folder", "root": ["/disk1/videos", "/disk2/videos"]}},
    ],
    ids=str,
)
def test_where_and_how_fast_does_not_decide_the_bytes(changes: dict[str, Any]) -> None:
    assert config(**changes).fingerprint() == config().fingerprint()


@pytest.mark.parametrize(
    "changes",
    [{"format": {"frame_size": 64}}, {"seed": 1}, {"shard_size": 5}, {"rules": {"max_decode_errors": 0}}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_stored_decides_the_bytes(changes: dict[str, Any]) -> None:
    assert config(**changes).fingerprint() != config().fingerprint()


def test_where_lists_lie_does_not_decide_the_bytes_but_the_class_list_does() -> None:
    here = config(dataset={"name": "kinetics_sounds", "root": "/videos", "split_files": ["/a/train.csv"]})
    there = config(dataset={"name": "kinetics_sounds", "root": "/moved", "annotations": ["/b/all.csv"]})
    other = config(dataset={"name": "kinetics_sounds", "root": "/videos", "classes": "ks27"})
    assert here.fingerprint() == there.fingerprint() != other.fingerprint()


def test_the_decoder_gets_format_and_rules() -> None:
    options = config(format={"frame_size": 64, "num_segments": 3}, rules={"min_audio_coverage": 0.5}).decode_options
    assert (options.frame_size, options.num_segments, options.min_audio_coverage) == (64, 3, 0.5)
