from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.clips import write_clips
from pipeline.settings.load import load
from preprocessing.schema import ClipFormat
from studies.trainings import trained
from studies.transfer.attacks import BASELINE, compared
from studies.transfer.comparison import TransferConfig, main, training
from training.attacks import MIFGSM


def test_all_attacks_have_the_same_gradient_budget_but_the_one_step_attack() -> None:
    attacks = compared(num_gradients=6, num_segments=8)
    assert {attack.cost.backward for name, attack in attacks.items() if name != "FGSM"} == {6}
    assert attacks["FGSM"].cost.backward == 1


def test_sharing_is_over_two_four_and_all_segments() -> None:
    attacks = compared(num_gradients=6, num_segments=8)
    sizes = {
        attack.sharing.segments
        for name, attack in attacks.items()
        if isinstance(attack, MIFGSM) and name.startswith(BASELINE)
    }
    assert sizes == {1, 2, 4, 8, "all"}
    assert len(compared(num_gradients=6, num_segments=2)) == len(attacks) - 4


def test_an_odd_budget_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["num_gradients=5"]) == 2
    assert "num_gradients=5 is odd; readings over copies need an even number" in capsys.readouterr().err


def test_a_classifier_is_trained_once(tmp_path: Path) -> None:
    write_clips(tmp_path / "data", FORMAT, num_train=8, num_validation=4)
    config = load(TransferConfig, changes=settings(tmp_path))
    first = trained(training(config, config.models[0], 0), tmp_path)
    written = (first.checkpoint / "model.safetensors").stat().st_mtime_ns
    assert trained(training(config, config.models[0], 0), tmp_path) == first
    assert (first.checkpoint / "model.safetensors").stat().st_mtime_ns == written
    assert trained(training(config, config.models[0], 1), tmp_path).checkpoint != first.checkpoint


@pytest.mark.slow
def test_the_whole_comparison_writes_a_row_per_attack_and_a_picture(tmp_path: Path) -> None:
    write_clips(tmp_path / "data", FORMAT, num_train=8, num_validation=4)
    config = load(TransferConfig, changes=settings(tmp_path))
    given = trained(training(config, config.models[0], 1), tmp_path / "given").checkpoint
    words = [*settings(tmp_path), f"victims=[{given}]"]
    assert main(words) == 0
    rows = json.loads((tmp_path / "transfer.json").read_text())
    budgets = ("linf(video=2/255, audio=2/255)", "linf(video=4/255, audio=4/255)")
    names = compared(num_gradients=2, num_segments=2)
    assert [row["name"] for row in rows] == [f"transfer of {name}, {budget}" for budget in budgets for name in names]
    assert all({"name", "ratio", "aim", "detail"} == set(row) for row in rows)
    assert all(0.0 <= row["detail"]["white-box"]["rate"] <= 1.0 for row in rows)
    assert all(0.0 <= row["detail"][f"on {given}"]["rate"] <= 1.0 for row in rows)
    usual = next(row for row in rows if row["name"].startswith(f"transfer of {BASELINE},"))
    assert usual["detail"]["transfer"]["difference_interval"] == [0.0, 0.0]
    assert (tmp_path / "transfer.png").read_bytes().startswith(b"\x89PNG")
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "transfer").rglob("*.npy")}
    assert main(words) == 0
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "transfer").rglob("*.npy")} == kept


FORMAT = ClipFormat(num_segments=2, segment_seconds=0.16, frame_size=16, num_mels=16)


def settings(folder: Path) -> list[str]:
    return [
        f"data={folder / 'data'}",
        f"output={folder}",
        "seeds=[0]",
        "epochs=1",
        "batch_size=4",
        "splits=[validation]",
        "num_gradients=2",
        "processes=1",
    ]
