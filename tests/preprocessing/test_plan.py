"""The plan: the same for the same videos, mixed classes in every shard, and a clear word when it is another."""

from __future__ import annotations

import random
from pathlib import Path

from preprocessing.config import PreprocessConfig
from preprocessing.datasets import Listing, Video
from preprocessing.plan import Plan, differences, empty_splits, make_plan, prepare_plan
from preprocessing.schema import Split


def listing(num_videos: int = 200) -> Listing:
    videos = [
        Video(
            key=f"clip{i:04d}",
            source=Path(f"{i % 4}/clip{i:04d}.mp4"),
            label=i % 4,
            class_name=str(i % 4),
            split="train",
        )
        for i in range(num_videos)
    ]
    return Listing(("0", "1", "2", "3"), tuple(videos))


def plan_of(listing: Listing, *, seed: int = 0, frame_size: int = 224) -> Plan:
    settings: dict[str, object] = {"format": {"frame_size": frame_size}, "seed": seed}
    plan, _ = make_plan(listing, roots=(Path("videos"),), settings=settings, shard_size=32, seed=seed)
    return plan


def test_every_clip_has_one_place() -> None:
    plan = plan_of(listing())
    assert [len(shard.clips) for shard in plan.shards] == [32] * 6 + [8]
    assert [shard.name for shard in plan.shards][:2] == ["train/000000.tar", "train/000001.tar"]
    assert len({clip.key for shard in plan.shards for clip in shard.clips}) == plan.num_clips == 200


def test_the_order_of_the_videos_does_not_matter() -> None:
    shuffled = list(listing().videos)
    random.Random(3).shuffle(shuffled)
    assert plan_of(Listing(listing().classes, tuple(shuffled))).to_json() == plan_of(listing()).to_json()


def test_every_shard_mixes_the_classes() -> None:
    for shard in plan_of(listing()).shards[:-1]:
        assert {clip.label for clip in shard.clips} == {0, 1, 2, 3}


def test_another_seed_orders_the_clips_otherwise() -> None:
    assert plan_of(listing(), seed=1).shards != plan_of(listing(), seed=0).shards


def test_a_key_is_planned_once() -> None:
    twice = listing(3).videos
    other = twice[0].model_copy(update={"source": Path("elsewhere/clip0000.mp4")})
    plan, rejected = make_plan(
        Listing(("0", "1", "2", "3"), (*twice, other)), roots=(Path("videos"),), settings={}, shard_size=32, seed=0
    )
    assert plan.num_clips == 3
    (rejection,) = rejected
    assert (rejection.file, rejection.reason) == ("elsewhere/clip0000.mp4", "duplicate")
    assert "0/clip0000.mp4" in rejection.detail


def test_a_plan_read_back_is_the_same_plan() -> None:
    plan = plan_of(listing())
    assert Plan.model_validate_json(plan.to_json()).sha256() == plan.sha256()
    assert differences(Plan.model_validate_json(plan.to_json()), plan) == []


def test_classes_without_a_video_are_named_by_split() -> None:
    counts: dict[str, dict[Split, int]] = {
        "a": {"train": 2, "validation": 0, "test": 1},
        "b": {"train": 1, "validation": 0, "test": 0},
    }
    assert empty_splits(counts) == {"validation": ("a", "b"), "test": ("b",)}


def test_differences_are_named() -> None:
    fewer = Listing(listing().classes, listing().videos[:198])
    assert differences(plan_of(listing()), plan_of(fewer, frame_size=112)) == [
        "format.frame_size: 224 there, 112 now",
        "2 videos were removed, such as 'clip0198'",
    ]


def test_a_video_with_the_same_bytes_in_two_splits_is_kept_in_the_test(tmp_path: Path) -> None:
    """Of three files of one size two have the same bytes; a model would be tested on what it was trained on."""
    contents = {"train/a/1.mp4": b"same", "train/a/2.mp4": b"else", "test/a/3.mp4": b"same", "train/a/4.mp4": b"same"}
    for name, data in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    config = PreprocessConfig.model_validate({"dataset": {"name": "folder", "root": tmp_path}, "output": "shards"})
    prepared = prepare_plan(config, config.dataset.listing())
    assert {clip.source for shard in prepared.plan.shards for clip in shard.clips} == {"train/a/2.mp4", "test/a/3.mp4"}
    assert [(each.file, each.reason, each.detail) for each in prepared.rejected] == [
        ("train/a/1.mp4", "same_bytes", "'test/a/3.mp4' in test has the same bytes"),
        ("train/a/4.mp4", "same_bytes", "'test/a/3.mp4' in test has the same bytes"),
    ]
    accounting = prepared.accounting
    assert (accounting.num_seen, accounting.num_used, accounting.num_left_out("same_bytes")) == (4, 2, 2)


def test_the_reading_of_folders_does_not_decide_the_plan_beyond_its_clips(tmp_path: Path) -> None:
    """So data sets that were made before there was the setting go on."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.mp4").touch()
    configs = [
        PreprocessConfig.model_validate(
            {"dataset": {"name": "folder", "root": tmp_path, "layout": layout}, "output": "shards"}
        )
        for layout in ("auto", "class_folders")
    ]
    plans = [prepare_plan(config, config.dataset.listing()).plan for config in configs]
    assert plans[0] == plans[1]
    assert plans[0].settings["dataset"] == {
        "name": "folder",
        "classes": [],
        "shares": {"validation": 0.1, "test": 0.1},
    }
