from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import torch

from evaluation.prediction import predict
from evaluation.prediction.config import PredictConfig
from evaluation.prediction.results import VideoPrediction
from evaluation.prediction.run import predict_each
from preprocessing.errors import PlaceError, SettingsError
from preprocessing.schema import Split
from preprocessing.storage.atomic_file import write_file
from preprocessing.storage.store import Store
from tests.s3_server import S3Server
from tests.small_checkpoint import RESNET, write_checkpoint
from tests.tiny_video import TINY_CLASSES
from training.checkpoint import CheckpointError, load_model
from training.data import open_split


@pytest.fixture(scope="module")
def found(checkpoint: Path, videos: Path) -> dict[str, VideoPrediction]:
    """The prediction of every file of the folder, by its path below it."""
    return {str(Path(each.file).relative_to(videos)): each for each in predict(checkpoint, videos)}


def test_every_video_of_a_folder_has_classes_or_a_reason(found: dict[str, VideoPrediction]) -> None:
    """Those that are refused stop no other; the text and the hidden file are no videos."""
    assert list(found) == ["a.mp4", "broken.webm", "deep/long.MP4", "short.mkv", "silent.mov"]
    assert {name: each.reason for name, each in found.items() if each.reason} == {
        "broken.webm": "not_media",
        "short.mkv": "too_short",
        "silent.mov": "no_audio",
    }
    assert "1.000 s of video; 2 s from 0.000 s on are wanted" in found["short.mkv"].detail


def test_probabilities_are_those_of_all_classes_and_sum_to_one(found: dict[str, VideoPrediction]) -> None:
    for each in (found["a.mp4"], found["deep/long.MP4"]):
        assert tuple(each.probabilities) == TINY_CLASSES
        assert sum(each.probabilities.values()) == pytest.approx(1)
        assert each.probabilities[each.class_name] == max(each.probabilities.values())


def test_a_long_video_is_the_mean_of_its_windows(found: dict[str, VideoPrediction]) -> None:
    """5 s in windows of 2 s: from 0, from 2, and one that ends with the video."""
    long = found["deep/long.MP4"]
    assert long.video_seconds == pytest.approx(5)
    assert [window.start_seconds for window in long.windows] == pytest.approx([0, 2, 3])
    for name in TINY_CLASSES:
        assert long.probabilities[name] == pytest.approx(sum(window.probabilities[name] for window in long.windows) / 3)
    assert len({window.probabilities[TINY_CLASSES[0]] for window in long.windows}) == 3


@pytest.mark.parametrize("split", ["test"])
def test_a_video_has_the_classes_that_its_stored_clip_has(
    split: Split, tiny_dataset: Path, tiny_videos: Path, tmp_path: Path
) -> None:
    """Decoded in the sandbox and scaled as for training: the same pixels and the same sound, also for ResNet-18."""
    write_checkpoint(tmp_path / "resnet", RESNET)
    model, _ = load_model(tmp_path / "resnet")
    stored = open_split(str(tiny_dataset), split)
    clips = stored.read(range(len(stored))).to("cpu")
    with torch.inference_mode():
        expected = dict(zip(clips.keys, torch.softmax(model(clips.video, clips.audio).logits.double(), 1), strict=True))
    for each in predict(tmp_path / "resnet", tiny_videos / split):
        answer = torch.tensor(list(each.probabilities.values()), dtype=torch.float64)
        torch.testing.assert_close(answer, expected[Path(each.file).stem], rtol=1e-5, atol=1e-6)


def test_a_short_video_is_taken_where_the_rules_say_so(checkpoint: Path, videos: Path) -> None:
    [found] = predict(checkpoint, videos / "short.mkv", rules={"missing_tail": "pad"})
    assert (found.reason, len(found.windows)) == ("", 1)
    assert found.windows[0].end_seconds == 2


def test_robustness_finds_the_budget_at_which_a_clip_breaks(checkpoint: Path, videos: Path) -> None:
    """Within it the class changes, a step below it does not, as far as the same attack finds."""
    [found] = predict(checkpoint, videos / "a.mp4", robustness=True, attack={"name": "pgd", "steps": 5})
    certificate = found.certificate
    assert certificate is not None
    assert certificate.is_broken
    assert certificate == found.windows[0].certificate
    quarters = certificate.epsilon_video * 255 * 4
    assert quarters == pytest.approx(round(quarters))
    assert 0 < certificate.epsilon_video <= 16 / 255
    assert str(certificate) == f"broken at linf(video={quarters / 4:g}/255, audio={quarters / 4:g}/255)"


def test_a_table_has_all_predictions_and_each_is_told_as_it_comes(
    checkpoint: Path, videos: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    output = tmp_path / "found.csv"
    config = PredictConfig(output=str(output))
    predict_each(
        str(checkpoint), [str(videos)], config, tell=lambda each: told.append(f"{output.exists()} {each.file}")
    )
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert told == [f"False {row['file']}" for row in rows]
    by_name = {Path(row["file"]).name: row for row in rows}
    assert by_name["silent.mov"]["reason"] == "no_audio"
    assert by_name["long.MP4"]["windows"] == "3"
    assert float(by_name["a.mp4"]["probability"]) == pytest.approx(
        float(by_name["a.mp4"][f"probability of {by_name['a.mp4']['class']}"])
    )


def test_json_says_which_model_and_which_windows(checkpoint: Path, videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "found.json"
    predict(checkpoint, [videos / "deep"], output=str(output), by_time=True, hop_seconds=1.0)
    said = json.loads(output.read_text())
    assert said["classes"] == list(TINY_CLASSES)
    assert len(said["model_sha256"]) == 64
    assert said["settings"]["hop_seconds"] == 1.0
    assert [each["start_seconds"] for each in said["predictions"][0]["windows"]] == pytest.approx([0, 1, 2, 3])


def test_videos_in_a_bucket_are_classified_where_they_lie(
    checkpoint: Path, videos: Path, s3: S3Server, found: dict[str, VideoPrediction]
) -> None:
    write_file(Store("s3://bucket"), "in/a.mp4", (videos / "a.mp4").read_bytes())
    write_file(Store("s3://bucket"), "in/deep/broken.webm", b"no video")
    a, broken = predict(checkpoint, "s3://bucket/in")
    assert (a.file, a.probabilities) == ("s3://bucket/in/a.mp4", found["a.mp4"].probabilities)
    assert broken.reason == "not_media"
    [alone] = predict(checkpoint, "s3://bucket/in/a.mp4", output="s3://bucket/out.json")
    assert alone.probabilities == a.probabilities
    assert json.loads(Store("s3://bucket").read("out.json"))["predictions"][0]["file"] == "s3://bucket/in/a.mp4"


def test_what_cannot_work_is_refused_before_the_first_video(checkpoint: Path, videos: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        predict(tmp_path, videos)
    with pytest.raises(SettingsError, match="no video to classify"):
        predict(checkpoint, [])
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PlaceError, match="is a folder"):
        predict(checkpoint, videos, output=str(tmp_path / "folder.csv"))
    with pytest.raises(ValueError, match=r"ends in \.csv or \.json"):
        predict(checkpoint, videos, output=str(tmp_path / "found.txt"))
