from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.prediction.classifier import VideoClassifier, averaged, chosen_device, in_runs
from evaluation.prediction.config import PredictConfig
from evaluation.prediction.results import WindowPrediction
from preprocessing.errors import ResourceError
from tests.small_checkpoint import write_checkpoint
from training.batch import Batch


def window(start: float, **probabilities: float) -> WindowPrediction:
    return WindowPrediction(start_seconds=start, end_seconds=start + 2, probabilities=probabilities)


LOST = WindowPrediction(start_seconds=0, end_seconds=2, reason="audio_coverage", detail="no sound")


def test_windows_without_classes_are_left_out_of_the_mean() -> None:
    found = averaged("a", 6.0, (LOST, window(2, one=0.9, two=0.1), window(4, one=0.3, two=0.7)))
    assert found.probabilities == pytest.approx({"one": 0.6, "two": 0.4})
    assert (found.class_name, found.num_classified, found.reason) == ("one", 2, "")


def test_a_video_without_any_has_the_first_reason() -> None:
    found = averaged("a", 2.0, (LOST,))
    assert (found.class_name, found.reason, found.detail) == ("", "audio_coverage", "no sound")


def test_batches_change_nothing(checkpoint: Path, videos: Path) -> None:
    path = videos / "deep" / "long.MP4"
    found = []
    for batch_size in (1, 2, 16):
        with VideoClassifier(checkpoint, PredictConfig(batch_size=batch_size, hop_seconds=0.5)) as classifier:
            found.append(classifier.classify(path, root=videos, name="long"))
    assert len(found[0].windows) == 7
    for each in found[1:]:
        assert each.probabilities == pytest.approx(found[0].probabilities)


def test_robustness_in_the_waveform_is_that_of_the_samples(checkpoint: Path, videos: Path) -> None:
    config = PredictConfig.model_validate(
        {"robustness": True, "threat": "linf(waveform=0.002)", "attack": {"name": "pgd", "steps": 2}, "rounds": 3}
    )
    with VideoClassifier(checkpoint, config) as classifier:
        found = classifier.classify(videos / "a.mp4", root=videos, name="a")
    assert found.certificate is not None
    assert found.certificate.epsilon_video == 0
    assert "waveform=" in found.certificate.threat


def test_an_answer_that_is_no_number_is_a_reason(tmp_path: Path, videos: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint", scale=float("inf"))
    with VideoClassifier(tmp_path / "checkpoint", PredictConfig(robustness=True)) as classifier:
        found = classifier.classify(videos / "a.mp4", root=videos, name="a")
        clip = Batch(torch.zeros(1, 4, 3, 32, 32), torch.zeros(1, 4, 32, 50), torch.zeros(1, dtype=torch.long), ("a",))
        assert bool(classifier.probabilities(clip).isnan().all())
    assert (found.reason, found.detail) == ("not_finite", "the model's answer is not a number")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told() -> None:
    assert chosen_device(gpu=None).type == "cpu"
    with pytest.raises(ResourceError, match="finds no GPU here"):
        chosen_device(gpu=True)


def test_items_come_in_runs() -> None:
    assert list(in_runs(range(5), 2)) == [[0, 1], [2, 3], [4]]
