"""Clips to look at: the tiny data set, and one with trouble and hostile names in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from preprocessing.config import AcceptanceRules, PreprocessConfig
from preprocessing.datasets import Folder
from preprocessing.datasets.base import Shares
from preprocessing.inspection.measuring import Measures
from preprocessing.inspection.stored import StoredClip, StoredDataset, find_dataset
from preprocessing.run import preprocess
from preprocessing.schema import ClipFormat, ClipRecord, StoredKey

HOSTILE_CLASS = "<script>alert(1)<"
HOSTILE_FILE = '"><script>alert(2)<'


@pytest.fixture(scope="session")
def tiny(tiny_dataset: Path) -> StoredDataset:
    """The tiny data set as it is found."""
    return find_dataset(str(tiny_dataset))


@pytest.fixture(scope="session")
def troubled(
    tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path, ffmpeg: Callable[..., bytes], ray_session: None
) -> Path:
    """A data set of two classes, one with a hostile name: good clips, a silent still one, one with half its sound, and
    a file with a hostile name that is no video."""
    root = tmp_path_factory.mktemp("troubled_videos")
    for source, name in (("singing", "singing"), ("playing drums", HOSTILE_CLASS)):
        shutil.copytree(tiny_videos / "train" / source, root / name)
    encode = ("-t", 2, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
    bars = ("-f", "lavfi", "-i", "smptebars=s=64x48:r=10")
    ffmpeg(*bars, "-f", "lavfi", "-i", "anullsrc=r=16000", *encode, root / "singing/silent.mp4")
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10")
    ffmpeg(*picture, "-f", "lavfi", "-i", "sine=f=440:d=1:r=16000", *encode, root / "singing/half.mp4")
    (root / HOSTILE_CLASS / f"{HOSTILE_FILE}.mp4").write_text("<html>Video unavailable</html>")
    output = tmp_path_factory.mktemp("troubled") / "shards"
    preprocess(
        PreprocessConfig(
            dataset=Folder(root=root, shares=Shares(validation=0.2, test=0.0)),
            output=str(output),
            format=ClipFormat(num_segments=4, segment_seconds=0.5, frame_size=32, num_mels=32),
            rules=AcceptanceRules(missing_tail="pad"),
            shard_size=8,
        )
    )
    return output


@pytest.fixture
def clip() -> Callable[..., Measures]:
    """Makes the numbers of a good clip; what is given replaces a field of its record or a measure."""

    def make(key: str = "clip", label: int = 0, **changes: float) -> Measures:
        record: dict[str, object] = {
            **dict.fromkeys((name for name in ClipRecord.model_fields if name.endswith("_coverage")), 1.0),
            "key": key,
            "label": label,
            "class_name": "singing",
            "source": f"{key}.mp4",
            "source_sha256": "",
            "start_seconds": 0.0,
            "end_seconds": 2.0,
            "frame_seconds": (0.2, 0.7, 1.2, 1.7),
            "missing_frames": 0,
            "decode_errors": 0,
            "saturation_share": 0.0,
        }
        measured = {"level_dbfs": -20.0, "frame_age_seconds": 0.05, "motion_levels": 5.0, "contrast_levels": 40.0}
        own = {name: changes.pop(name, usual) for name, usual in measured.items()}
        stored = StoredClip(
            "train/000000.tar", "train", StoredKey(source_sha256="", key=key, label=label, offset=0, length=512)
        )
        return Measures(stored=stored, record=ClipRecord.model_validate(record | changes), **own)

    return make
