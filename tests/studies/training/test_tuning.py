from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.clips import write_clips
from preprocessing.schema import ClipFormat
from studies.training.methods import Method
from studies.training.outcomes import Clips
from studies.training.tuning import SEED, Trial, Tuning, best
from training.config import TrainConfig
from training.models import ModelConfig
from training.objectives import FastAT, Standard
from training.threat import ThreatModel


def test_the_most_robust_setting_is_taken_and_of_equal_ones_the_cheapest() -> None:
    dear, cheap, weak = (
        Trial(Method(Standard()), robust_accuracy=rate, passes=passes)
        for rate, passes in ((0.7, 40.0), (0.7, 30.0), (0.6, 20.0))
    )
    assert best([dear, cheap, weak]) is cheap
    assert best([weak, dear]) is dear


@pytest.mark.slow
def test_every_setting_is_trained_once_by_the_seed_of_trials_and_judged_on_validation_clips(tmp_path: Path) -> None:
    clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
    write_clips(tmp_path / "data", clip_format, num_train=8, num_validation=4)
    seeds: list[int] = []

    def config_of(method: Method, seed: int) -> TrainConfig:
        seeds.append(seed)
        return TrainConfig(
            data=str(tmp_path / "data"),
            output="unused",
            objective=method.objective,
            model=ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=8),
            epochs=1,
            batch_size=4,
            seed=seed,
        )

    clips = Clips(str(tmp_path / "data"), ("validation",), 4)
    tuning = Tuning(config_of, clips, ThreatModel(), tmp_path, processes=1)
    found = tuning.trials({"one": (Method(Standard()), Method(FastAT())), "other": (Method(FastAT(step_size=1.0)),)})
    assert {name: [trial.passes for trial in trials] for name, trials in found.items()} == {
        "one": [1.0, 2.0],
        "other": [2.0],
    }
    assert all(0.0 <= trial.robust_accuracy <= 1.0 for trials in found.values() for trial in trials)
    assert seeds == [SEED] * 3
    names = {path.name.rpartition("-")[0] for path in (tmp_path / "models").iterdir()}
    assert names == {"one,-trial-1-seed100", "one,-trial-2-seed100", "other,-trial-1-seed100"}
