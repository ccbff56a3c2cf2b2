"""Decoding side by side changes nothing but the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.prediction import predict
from evaluation.prediction.config import PredictConfig
from evaluation.prediction.decoding import VideoDecoders
from evaluation.prediction.videos import video_files
from preprocessing.decoding.acceptance import DecodeError
from tests.small_checkpoint import TINY_FORMAT


@pytest.mark.parametrize("decoders", [1, 2, 8])
def test_windows_are_those_of_one_decoder_in_order(videos: Path, decoders: int) -> None:
    """Two videos that have windows, three that are refused where their first one would come."""
    config = PredictConfig(decoders=decoders, hop_seconds=1.0, batch_size=1)
    seen: dict[str, object] = {}
    with VideoDecoders(TINY_FORMAT, config) as decoding:
        for video, windows in decoding.windows_of(video_files([str(videos)])):
            try:
                seen[Path(video.name).name] = [(each.start_seconds, each.clip is not None) for each in windows]
            except DecodeError as error:
                seen[Path(video.name).name] = error.reason
    assert list(seen) == ["a.mp4", "broken.webm", "long.MP4", "short.mkv", "silent.mov"]
    assert seen["a.mp4"] == [(0.0, True)]
    assert seen["long.MP4"] == [(float(start), True) for start in range(4)]
    assert [seen[name] for name in ("broken.webm", "silent.mov")] == ["not_media", "no_audio"]
    assert seen["short.mkv"] == [(0.0, False)]


def test_predictions_do_not_depend_on_the_number_of_decoders(checkpoint: Path, videos: Path) -> None:
    assert predict(checkpoint, videos, decoders=1) == predict(checkpoint, videos, decoders=3)


def test_decoders_serve_again_after_somebody_stopped_early(videos: Path) -> None:
    with VideoDecoders(TINY_FORMAT, PredictConfig(decoders=2, hop_seconds=0.1, batch_size=1)) as decoding:
        for _ in range(3):
            generator = decoding.windows_of(video_files([str(videos / "deep"), str(videos / "a.mp4")]))
            _, windows = next(generator)
            assert next(windows).start_seconds == 0
            generator.close()
        assert len(list(decoding.windows_of(video_files([str(videos)])))) == 5
