"""An output that a run without a single clip left makes way; one with clips never does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from preprocessing.checks.output import begin, has_ended_without_a_clip
from preprocessing.plan import Plan, PlannedClip, PlannedShard
from preprocessing.schema import INDEX_NAME, PLAN_NAME, REJECTED_NAME, ShardRecord
from preprocessing.storage.store import Store


def plan(num_segments: int, *shards: str) -> Plan:
    clip = PlannedClip(key="a", label=0, class_name="a", source="a/1.mp4", start_seconds=None)
    return Plan(
        settings={"format": {"num_segments": num_segments}},
        classes=("a",),
        shards=tuple(PlannedShard(name=name, split="train", clips=(clip,)) for name in shards),
    )


def end(root: Path, before: Plan) -> None:
    """What a run of this plan leaves that keeps no clip."""
    for shard in before.shards:
        record = ShardRecord(
            name=shard.name,
            split=shard.split,
            plan_sha256=before.sha256(),
            bytes=0,
            sha256="",
            samples=(),
            rejected=(),
            libraries={},
        )
        (root / shard.name).parent.mkdir(exist_ok=True)
        (root / shard.name).touch()
        (root / shard.name).with_suffix(".json").write_text(record.model_dump_json())
    (root / REJECTED_NAME).write_text("file,split,reason,detail\n")


def test_an_ended_run_without_a_clip_makes_way(tmp_path: Path) -> None:
    store, before, after = (
        Store(str(tmp_path)),
        plan(5, "train/000000.tar", "train/000001.tar"),
        plan(4, "train/000000.tar"),
    )
    begin(store, before)
    end(tmp_path, before)
    begin(store, after)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {PLAN_NAME}
    assert Plan.model_validate_json(store.read(PLAN_NAME)) == after


def test_the_same_plan_goes_on(tmp_path: Path) -> None:
    store, before = Store(str(tmp_path)), plan(5, "train/000000.tar")
    begin(store, before)
    end(tmp_path, before)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    begin(store, before)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_a_run_that_has_not_ended_does_not_make_way(tmp_path: Path) -> None:
    """Another run may be at it."""
    store, before = Store(str(tmp_path)), plan(5, "train/000000.tar")
    begin(store, before)
    with pytest.raises(ValueError, match=r"made with other settings .*\n  format\.num_segments: 5 there, 4 now"):
        begin(store, plan(4, "train/000000.tar"))


def test_a_single_clip_is_kept(tiny_dataset: Path, tmp_path: Path) -> None:
    """Also of a run that was not finished."""
    copy = shutil.copytree(tiny_dataset, tmp_path / "shards")
    store = Store(str(copy))
    before = Plan.model_validate_json(store.read(PLAN_NAME))
    assert not has_ended_without_a_clip(store, before)
    (copy / INDEX_NAME).unlink()
    assert not has_ended_without_a_clip(store, before)
    with pytest.raises(ValueError, match="choose another output or remove it"):
        begin(store, plan(4, "train/000000.tar"))


def test_a_finished_data_set_without_a_clip_makes_way(tiny_dataset: Path, tmp_path: Path) -> None:
    index = json.loads((tiny_dataset / INDEX_NAME).read_text())
    none = index | {"num_clips": dict.fromkeys(index["num_clips"], 0)}
    (tmp_path / INDEX_NAME).write_text(json.dumps(none))
    assert has_ended_without_a_clip(Store(str(tmp_path)), plan(5))
