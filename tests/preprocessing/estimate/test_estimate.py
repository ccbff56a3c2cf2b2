"""What `plan=true` says, against what the run then does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from preprocessing.config import PreprocessConfig
from preprocessing.datasets import KineticsSounds
from preprocessing.estimate.calibration import Calibration
from preprocessing.estimate.estimate import estimate, free_bytes, layout, wall_seconds
from preprocessing.plan import PlannedClip
from preprocessing.run import preprocess
from preprocessing.schema import ClipFormat
from preprocessing.storage.store import Store
from tests.tiny_video import TINY_CLASSES

ROOT = Path(__file__).parents[3]
FORMAT = ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32)


def config(root: Path, output: Path, **changes: object) -> PreprocessConfig:
    settings = {
        "dataset": KineticsSounds(root=root, classes=TINY_CLASSES),
        "output": str(output),
        "format": FORMAT,
        "shard_size": 10,
    }
    return PreprocessConfig.model_validate(settings | changes)


def listing(folder: Path) -> dict[str, int]:
    """Every file and folder below, with the time of its last change."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path) -> Path:
    """Twelve annotated videos: ten good ones, one that is missing and one that is no video; and a bad name."""
    root = tmp_path_factory.mktemp("broken")
    good = sorted((tiny_videos / "train/singing").iterdir()) + sorted((tiny_videos / "test/singing").iterdir())
    good += sorted((tiny_videos / "validation/singing").iterdir())
    stems = [f"clip_____{number:02d}" for number in range(12)]
    for stem, path in zip(stems, good, strict=False):
        shutil.copy(path, root / f"{stem}_000000_000010.mp4")
    (root / f"{stems[11]}_000000_000010.mp4").write_text("<html>Video unavailable</html>")
    (root / "bad name.mp4").touch()
    rows = [f"singing,{stem},0,10,{'test' if number % 4 == 0 else 'train'}" for number, stem in enumerate(stems)]
    (root / "train.csv").write_text("label,youtube_id,time_start,time_end,split\n" + "\n".join(rows) + "\n")
    return root


def test_counts_are_those_of_the_run_and_bytes_are_close(broken: Path, tmp_path: Path, ray_session: None) -> None:
    """Nine of test and train after what is left out: the run writes as many shards, and within 1.5 times the bytes."""
    settings = config(broken, tmp_path / "shards", shard_size=4, max_rejected_share=0.5)
    planned = estimate(settings)
    assert not (tmp_path / "shards").exists()
    done = preprocess(settings)
    assert planned.num_shards == done.shards_written
    assert planned.num_finished == 0
    assert planned.rejected == {"bad_name": 1, "missing_file": 1}
    assert planned.examples["bad_name"] == "bad name.mp4"
    assert planned.examples["missing_file"].endswith("clip_____10_000000_000010.mp4")
    assert done.num_rejected == planned.rejected | {"not_media": 1}
    videos = planned.num_videos["singing"]
    assert sum(videos.values()) == sum(done.num_clips.values()) + 2  # missing, and no video
    assert planned.num_remaining == 11
    written = sum(file.stat().st_size for file in (tmp_path / "shards").rglob("*.tar"))
    assert written / 1.5 < planned.remaining_bytes < written * 1.5


def test_what_an_earlier_run_finished_does_not_count_again(
    tiny_dataset: Path, tiny_videos: Path, tmp_path: Path
) -> None:
    """Of five shards one lost its record and one is half: their 20 videos remain, and bytes are theirs."""
    copy = shutil.copytree(tiny_dataset, tmp_path / "shards")
    (copy / "train/000000.json").unlink()
    half = copy / "train/000001.tar"
    gone = half.stat().st_size + (copy / "train/000000.tar").stat().st_size
    half.write_bytes(half.read_bytes()[:5000])
    before = listing(tmp_path)
    found = estimate(config(tiny_videos, copy, workers=1))
    assert listing(tmp_path) == before
    assert (found.num_shards, found.num_finished, found.num_remaining) == (5, 3, 20)
    assert found.num_videos == {
        name: {"train": 6, "validation": 2, "test": 2}
        for name in ("playing accordion", "playing drums", "playing piano", "singing")
    }
    assert found.layouts == {"<split>/<class>": 40}
    assert found.rejected == {}
    assert len(found.calibration.files) == 8
    assert gone / 1.25 < found.remaining_bytes < gone * 1.25
    assert found.bytes_error > 0
    assert found.wall_seconds == pytest.approx(
        2 * found.calibration.start_wall_seconds + 20 * found.calibration.clip_wall_seconds
    )
    assert found.cpu_seconds > 0
    assert found.free_bytes is not None
    assert not found.is_disk_too_small


def test_nothing_remains_of_a_finished_data_set(tiny_dataset: Path, tiny_videos: Path) -> None:
    before = listing(tiny_dataset)
    found = estimate(config(tiny_videos, tiny_dataset))
    assert (found.num_finished, found.num_remaining, found.remaining_bytes) == (5, 0, 0)
    assert found.calibration.files == ()
    assert (found.wall_seconds, found.cpu_seconds) == (0, 0)
    assert listing(tiny_dataset) == before


def test_a_run_that_would_be_refused_is_refused_now(tiny_dataset: Path, tiny_videos: Path) -> None:
    with pytest.raises(ValueError, match=r"made with other settings .*\n  seed: 0 there, 5 now"):
        estimate(config(tiny_videos, tiny_dataset, seed=5))


def test_a_root_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a folder, and plan=true makes none"):
        estimate(config(tmp_path / "nowhere", tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_shards_go_to_the_first_worker_that_is_free() -> None:
    """Three shards of 10, 10 and 5 clips at 1 s and 2 s of start: two workers need 12 s, then one 7 s more."""
    cost = Calibration(
        files=("a",),
        rejected={},
        clip_cpu_seconds=1,
        clip_wall_seconds=1,
        bytes_of_each=(1,),
        start_cpu_seconds=2,
        start_wall_seconds=2,
    )
    assert wall_seconds([10, 10, 5], cost, workers=2) == 19
    assert wall_seconds([10, 10, 5], cost, workers=3) == 12
    assert wall_seconds([10, 10, 5], cost, workers=1) == 31
    assert wall_seconds([], cost, workers=4) == 0


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x.mp4", "flat"),
        ("train/x.mp4", "<split>"),
        ("playing_drums/x.mp4", "<class>"),
        ("val_256/playing drums/x.mp4", "<split>/<class>"),
        ("part 1/playing drums/x.mp4", "part 1/<class>"),
    ],
)
def test_a_layout_is_named_by_what_its_folders_name(source: str, expected: str) -> None:
    clip = PlannedClip(key="x", label=0, class_name="playing drums", source=source, start_seconds=None)
    assert layout(clip) == expected


def test_the_free_disk_of_a_store_is_unknown(tmp_path: Path) -> None:
    assert free_bytes(Store("memory://somewhere")) is None
    assert free_bytes(Store(str(tmp_path / "not/there/yet"))) == free_bytes(Store(str(tmp_path)))


def test_the_command_writes_nothing_and_loads_no_ray_and_no_torch(tiny_videos: Path, tmp_path: Path) -> None:
    """All files and folders that a process of its own leaves, below its home and temporary folders, too."""
    (tmp_path / "tmp").mkdir()
    words = ["preprocess", "dataset.name=kinetics_sounds", f"dataset.root={tiny_videos}", f"output={tmp_path / 'out'}"]
    words += ["format={num_segments: 4, segment_seconds: 0.5, frame_size: 32, num_mels: 32}", "plan=true"]
    words += [f"dataset.classes=[{', '.join(TINY_CLASSES)}]"]
    program = (
        f"import sys; from pipeline.commands import main; status = main({words}); "
        "sys.exit(status or 10 * bool(sys.modules.keys() & {'ray', 'scipy', 'torch'}))"
    )
    before = listing(tiny_videos)
    environment = {"HOME": str(tmp_path / "tmp"), "TMPDIR": str(tmp_path / "tmp"), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == [tmp_path / "tmp"]
    assert listing(tiny_videos) == before
    for line in (
        "singing           │     6 │          2 │    2",
        "│ 40 ",
        "3, of which 0 are finished",
    ):
        assert line in done.stdout
