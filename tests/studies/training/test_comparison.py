from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.clips import write_clips
from pipeline.settings.load import load
from preprocessing.schema import ClipFormat
from studies.training.candidates import candidates
from studies.training.comparison import BenchmarkConfig, chosen, main
from studies.training.methods import CURRICULUM, ablations, methods

SEGMENTS = 8


def mean_passes(name: str) -> float:
    """Forward and backward passes per clip and step, the mean over a training."""
    objective = (methods() | ablations())[name].objective
    costs = [objective.cost(progress=step / 1000, num_segments=SEGMENTS) for step in range(1000)]
    return sum(cost.forward + cost.backward for cost in costs) / 2000


def test_the_curriculum_costs_no_more_than_single_step_training() -> None:
    assert mean_passes("FGSM-RS") == mean_passes("N-FGSM") == 2.0
    assert 1.7 < mean_passes(CURRICULUM) < 2.0


def test_free_adversarial_training_is_given_the_passes_of_single_step_training() -> None:
    """Four replays a batch in half the epochs."""
    assert mean_passes("Free-AT") * methods()["Free-AT"].epochs_factor == 2.0


def test_every_ablation_changes_the_curriculum_and_nothing_is_compared_twice() -> None:
    everything = methods() | ablations()
    assert len(everything) == len(methods()) + len(ablations())
    objectives = [method.objective for method in everything.values()]
    assert all(first != second for number, first in enumerate(objectives) for second in objectives[:number])


def test_the_curriculum_is_always_among_the_chosen() -> None:
    config = load(BenchmarkConfig, changes=["methods=[standard]"])
    assert chosen(config) == ("standard", CURRICULUM)


def test_methods_are_not_judged_on_the_clips_that_choose_their_settings(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["split=validation", 'methods=["FGSM-RS, growing","FGSM-RS"]']
    assert main(words) == 2
    assert "would judge FGSM-RS, growing on the clips that choose their settings" in capsys.readouterr().err
    assert len(chosen(load(BenchmarkConfig, changes=[*words[1:], "split=test"]))) == 3


def test_an_unknown_method_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods=[magic]"]) == 2
    assert "methods: no magic; allowed: standard, FGSM-RS" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_comparison_writes_a_row_per_method_and_a_picture(tmp_path: Path) -> None:
    clip_format = ClipFormat(num_segments=4, segment_seconds=0.16, frame_size=16, num_mels=16)
    write_clips(tmp_path / "data", clip_format, num_train=8, num_validation=4)
    everything = [*methods(), *ablations(), "FGSM-RS, growing"]
    words = [
        f"data={tmp_path / 'data'}", f"output={tmp_path}", "split=train", "num_clips=4", "seeds=[0]", "epochs=2",
        "batch_size=4", "processes=1", f"methods={json.dumps(everything)}", "num_tuning_clips=4",
    ]  # fmt: skip
    assert main(words) == 0
    rows = json.loads((tmp_path / "training.json").read_text())
    names = [*methods(), "FGSM-RS, growing", *ablations()]
    assert [row["name"] for row in rows[-len(names) :]] == [f"robust accuracy of {name}" for name in names]
    details = {row["name"]: row["detail"] for row in rows}
    assert {"curriculum_vs_pgd_at", "curriculum_gain_at_equal_cost (FGSM-RS)", "cheapest_near_trades"} < set(details)
    # Four of the eight training clips are validated in each epoch: 7 passes forward and 5 backward.
    assert details["robust accuracy of standard"]["passes"] == {"training": 2.0, "validation": 2 * 4 / 8 * 6}
    assert details["robust accuracy of PGD-AT 5"]["passes"]["training"] == 12.0
    assert len(details["robust accuracy of FGSM-RS, growing"]["trials"]) == len(candidates()["FGSM-RS, growing"])
    for name in names:
        of_method = details[f"robust accuracy of {name}"]
        assert of_method["joint"]["rate"] <= min(of_method[kind]["rate"] for kind in ("clean", "video", "audio"))
        assert min(of_method["cpu_seconds"].values()) > 0.0
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "training").rglob("*.safetensors")}
    assert main(words) == 0
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "training").rglob("*.safetensors")} == kept
