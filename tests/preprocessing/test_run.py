"""Preprocessing end to end: real videos, real Ray, real shards."""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import json
import logging
import re
import shlex
import shutil
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from PIL import Image

from pipeline.settings.load import load
from preprocessing.checks.output import begin
from preprocessing.config import PreprocessConfig
from preprocessing.datasets import KineticsSounds
from preprocessing.plan import Plan
from preprocessing.run import Summary, TooManyRejectedError, preprocess, verify
from preprocessing.schema import ClipFormat, ClipRecord
from preprocessing.settings import flatten
from preprocessing.storage.atomic_file import TEMPORARY_PREFIX
from preprocessing.storage.records import load_index, load_shard_record
from preprocessing.storage.store import Store
from tests.preprocessing.small_run import FORMAT, config, contents, flip_a_bit

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture
def copied(tmp_path: Path, finished: Path) -> Path:
    """A finished data set to damage."""
    return shutil.copytree(finished, tmp_path / "shards")


def samples(root: Path, split: str) -> list[dict[str, Any]]:
    """The samples of a split as plain webdataset gives them."""
    urls = [str(path) for path in sorted((root / split).glob("*.tar"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves closing its files to the garbage collector
        found = list(webdataset.WebDataset(urls, shardshuffle=False))
        gc.collect()
    return found


def test_a_finished_data_set_is_whole(tiny_dataset: Path) -> None:
    index = load_index(str(tiny_dataset))
    assert verify(str(tiny_dataset)) == []
    assert index.num_clips == {"train": 24, "validation": 8, "test": 8}
    assert index.classes == ("playing accordion", "playing drums", "playing piano", "singing")
    assert [shard.num_samples for shard in index.shards["train"]] == [10, 10, 4]


def test_plain_webdataset_reads_every_clip_once(tiny_dataset: Path) -> None:
    keys = [sample["__key__"] for sample in samples(tiny_dataset, "train")]
    assert len(keys) == len(set(keys)) == 24
    names = {name for name in samples(tiny_dataset, "train")[0] if not name.startswith("__")}
    assert names == {"audio.flac", "json", "logmel.npy", *(f"frame_0{index}.jpg" for index in range(4))}


def test_picture_and_sound_of_a_sample_tell_its_class(tiny_dataset: Path) -> None:
    """Each class has its colour and its tone: red, green, blue, yellow; from low to high."""
    peaks: dict[int, set[int]] = {}
    for sample in samples(tiny_dataset, "train"):
        record = ClipRecord.model_validate(json.loads(sample["json"]))
        patches = np.load(io.BytesIO(sample["logmel.npy"]), allow_pickle=False)
        assert (patches.shape, patches.dtype) == ((4, 32, 50), np.float16)
        assert 0 <= patches.min() <= patches.max() <= 1
        picture = np.asarray(Image.open(io.BytesIO(sample["frame_01.jpg"])), dtype=float)
        red, green, blue = picture[12:20, 12:20].mean(axis=(0, 1))
        seen = [
            red > green + 50 < red - blue,
            green > red + 50 < green - blue,
            blue > red + 50,
            min(red, green) > blue + 50,
        ]
        assert seen[record.label], f"{record.class_name}: {red:.0f} {green:.0f} {blue:.0f}"
        peaks.setdefault(record.label, set()).add(int(patches[1].mean(axis=1).argmax()))
    bounds = [(min(peaks[label]), max(peaks[label])) for label in sorted(peaks)]
    assert all(upper < lower for (_, upper), (lower, _) in pairwise(bounds))


def test_running_twice_does_no_work_twice(copied: Path, videos: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*.tar")}
    summary = preprocess(config(videos, copied))
    assert (summary.shards_written, summary.shards_reused) == (0, len(before))
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*.tar")} == before


def test_an_interrupted_run_ends_with_the_same_bytes(copied: Path, finished: Path, videos: Path) -> None:
    """What a kill leaves: no `dataset.json`, a shard without its record, half a shard under a name of its own."""
    (copied / "dataset.json").unlink()
    (copied / "rejected.csv").unlink()
    (copied / "train/000001.json").unlink()
    (copied / "train/000000.json").unlink()
    (copied / "train/000000.tar").rename(copied / "train" / f"{TEMPORARY_PREFIX}half")
    summary = preprocess(config(videos, copied))
    assert summary.shards_written == 2
    assert contents(copied) == contents(finished)
    assert verify(str(copied)) == []


def test_one_worker_gives_the_same_bytes_as_two(tmp_path: Path, finished: Path, videos: Path) -> None:
    preprocess(config(videos, tmp_path / "shards", workers=1))
    assert contents(tmp_path / "shards") == contents(finished)


def test_a_flipped_bit_names_the_shard_and_the_command_that_repairs_it_alone(
    copied: Path, finished: Path, videos: Path
) -> None:
    preprocess(config(videos, copied))  # so that dataset.json names the copy
    shard = copied / "train/000001.tar"
    others = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in copied.rglob("*.tar") if path != shard}
    flip_a_bit(shard)
    problem, advice = verify(str(copied))
    assert str(shard) in problem
    assert "bytes have changed" in problem
    assert preprocess(config(videos, copied)).shards_written == 0, "a plain rerun hashes nothing"
    command = shlex.split(advice.partition("built again by: ")[2])
    assert command[:4] == ["python", "-m", "pipeline", "preprocess"]
    summary = preprocess(load(PreprocessConfig, None, command[4:]))
    assert (summary.shards_written, summary.shards_reused) == (1, len(others))
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in others} == others
    assert contents(copied) == contents(finished)
    assert verify(str(copied)) == []


def test_a_changed_video_is_not_mixed_with_what_was_made_before(copied: Path, videos: Path, tmp_path: Path) -> None:
    """The change keeps the size; a copy of the same video is no change, whatever its time."""
    own = shutil.copytree(videos, tmp_path / "own", copy_function=shutil.copyfile)
    assert preprocess(config(own, copied)).shards_written == 0
    plan = Plan.model_validate_json((copied / "plan.json").read_text())
    changed = plan.shards[0].clips[0].source
    flip_a_bit(own / changed)
    (copied / "train/000001.json").unlink()
    with pytest.raises(ValueError, match=rf"1 videos have changed since .*'{changed}'.*repair=true"):
        preprocess(config(own, copied))
    assert not list(copied.rglob(f"{TEMPORARY_PREFIX}*"))
    assert preprocess(config(own, copied, repair=True)).shards_written >= 1
    sources = {
        sample.key: sample.source_sha256 for sample in load_shard_record(str(copied), plan.shards[0].name).samples
    }
    assert hashlib.sha256((own / changed).read_bytes()).hexdigest() in sources.values()
    assert verify(str(copied)) == []


def test_a_video_of_another_size_is_a_difference(copied: Path, videos: Path, tmp_path: Path) -> None:
    own = shutil.copytree(videos, tmp_path / "own")
    with next((own / "singing").iterdir()).open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(ValueError, match="1 videos were changed, such as 'singing__"):
        preprocess(config(own, copied))


def test_mixed_versions_of_libraries_are_told(copied: Path, videos: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = copied / "train/000001.json"
    record.write_text(re.sub(r'"numpy": "[^"]+"', '"numpy": "1.0.0"', record.read_text()))
    (copied / "train/000000.json").unlink()
    preprocess(config(videos, copied))
    (warning,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert "were built with different versions: numpy " in warning
    assert "1.0.0" in warning


def test_a_setting_that_decides_bytes_is_in_the_plan_and_no_other() -> None:
    """Every setting of preprocessing is one or the other."""
    free = {"output", "workers", "max_rejected_share", "repair", "plan", "limits", "max_wait_minutes"}
    free |= {"dataset.root", "dataset.layout"}
    whole = config(Path("videos"), Path("shards")).model_dump(mode="json")
    decides = set(flatten(config(Path("videos"), Path("shards")).fingerprint()))
    others = {name for name in flatten(whole) if name not in decides}
    assert {name if name in free else name.partition(".")[0] for name in others} == free


@pytest.mark.parametrize("name", sorted(flatten(config(Path("videos"), Path("shards")).fingerprint())))
def test_each_of_them_is_named_when_it_differs(name: str, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    settings = config(Path("videos"), Path("shards")).fingerprint()
    begin(store, Plan(settings=settings, classes=("a",), shards=()))
    group: Any = json.loads(json.dumps(settings))
    changed = group
    *path, last = name.split(".")
    for key in path:
        group = group[key]
    group[last] = "another"
    with pytest.raises(ValueError, match=rf"\n  {re.escape(name)}: .* there, 'another' now"):
        begin(store, Plan(settings=changed, classes=("a",), shards=()))


def test_other_settings_are_refused_with_what_differs(copied: Path, finished: Path, videos: Path) -> None:
    other = config(videos, copied, format=FORMAT.model_copy(update={"frame_size": 64}), seed=3)
    with pytest.raises(ValueError, match="choose another output or remove it") as error:
        preprocess(other)
    assert "\n  format.frame_size: 32 there, 64 now\n  seed: 0 there, 3 now" in str(error.value)
    assert contents(copied) == contents(finished)


def test_moving_the_videos_is_no_difference(copied: Path, videos: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(videos, tmp_path / "moved")
    assert preprocess(config(moved, copied, workers=1)).shards_written == 0


def test_new_videos_are_a_difference(copied: Path, videos: Path, tmp_path: Path) -> None:
    more = shutil.copytree(videos, tmp_path / "more")
    shutil.copy(next((more / "singing").iterdir()), more / "singing/new.mp4")
    with pytest.raises(ValueError, match="1 videos were added, such as 'singing__new'"):
        preprocess(config(more, copied))


def with_broken_ones(root: Path, videos: Path) -> Path:
    """Kinetics clips with an annotation: two good ones, one that is no video, one that is missing, one badly named."""
    root.mkdir()
    good = sorted((videos / "singing").iterdir())
    for index in range(2):
        shutil.copy(good[index], root / f"good_______{index}_000000_000010.mp4"[1:])
    (root / "broken_____0_000000_000010.mp4"[1:]).write_text("<html>Video unavailable</html>")
    (root / "bad name.mp4").touch()
    rows = [f"singing,{stem},0,10,train" for stem in ("ood_______0", "ood_______1", "roken_____0", "missing___0")]
    (root / "train.csv").write_text("label,youtube_id,time_start,time_end,split\n" + "\n".join(rows) + "\n")
    return root


def test_every_video_left_out_is_recorded_with_its_reason(tmp_path: Path, videos: Path) -> None:
    root = with_broken_ones(tmp_path / "videos", videos)
    dataset = KineticsSounds(root=root, validation_share=0)
    summary = preprocess(config(root, tmp_path / "shards", dataset=dataset, max_rejected_share=0.6))
    assert summary.num_clips == {"train": 2, "validation": 0, "test": 0}
    assert summary.num_rejected == {"bad_name": 1, "not_media": 1, "missing_file": 1}
    with (tmp_path / "shards/rejected.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["file"], row["split"], row["reason"]) for row in rows] == [
        ("bad name.mp4", "train", "bad_name"),
        ("roken_____0_000000_000010.mp4", "train", "not_media"),
        ("train/missing___0_000000_000010.mp4", "train", "missing_file"),
    ]
    index = load_index(str(tmp_path / "shards"))
    assert (index.num_rejected, index.accounting) == (3, summary.accounting)
    assert (summary.accounting.num_seen, summary.accounting.num_used) == (4, 3)
    assert [(each.num_rows, each.num_used) for each in summary.accounting.lists] == [(4, 4)]
    assert verify(str(tmp_path / "shards")) == []


def test_too_many_rejected_fail_the_job(tmp_path: Path, videos: Path) -> None:
    root = with_broken_ones(tmp_path / "videos", videos)
    with pytest.raises(TooManyRejectedError, match=r"3 of 5 videos were left out .*max_rejected_share=0\.5"):
        preprocess(config(root, tmp_path / "shards", dataset=KineticsSounds(root=root, validation_share=0)))
    assert (tmp_path / "shards/rejected.csv").exists()
    assert not (tmp_path / "shards/dataset.json").exists()


def test_too_short_videos_are_told_apart_from_broken_ones(tmp_path: Path, videos: Path) -> None:
    """The videos last 2 s."""
    with pytest.raises(
        TooManyRejectedError, match=r"4 s are wanted of each: set format\.num_segments=auto or a lower number"
    ):
        preprocess(config(videos, tmp_path / "shards", format=ClipFormat(num_segments=4, frame_size=32)))
    assert preprocess(config(videos, tmp_path / "shards")).num_clips["train"]  # what is left of it does not block
    assert verify(str(tmp_path / "shards")) == []


def test_progress_says_how_far_how_fast_and_how_long(
    tmp_path: Path, videos: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        summary = preprocess(config(videos, tmp_path / "shards", shard_size=64))
    lines = [record.getMessage() for record in caplog.records if "wrote" in record.getMessage()]
    assert any("2/2 shards, 12/12 clips, 0 rejected" in line for line in lines)
    assert all("clips/s" in line and "s left" in line for line in lines)
    assert isinstance(summary, Summary)
    printed = capsys.readouterr().out
    assert all(words in printed for words in ("shards written", "videos seen", "12, 12 used", "no test clip"))
