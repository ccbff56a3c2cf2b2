"""One of the paper's experiments at the smallest scale, from its files: models trained and attacked from each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.transfer.report import TransferReport
from pipeline.commands import main

ROOT = Path(__file__).parents[2]
FUSIONS = ("concat", "sum")
ATTACKS = {"fgsm", "ifgsm-10", "mifgsm-10", "nifgsm-10", "mig-10", "pam-10", "tia-10", "mma-10", "tma-10"}


def run(command: str, name: str, *words: str) -> int:
    return main([command, f"pipeline/configs/paper/{command}/{name}.yaml", *words, "--tracking", "off"])


def train(data: Path, folder: Path) -> list[Path]:
    """A tiny model of each fusion after one epoch, by the file of the paper's eight models."""
    for fusion in FUSIONS:
        model = f"model={{video_encoder: tiny, audio_encoder: tiny, fusion: {fusion}, feature_size: 16}}"
        small = ("epochs=1", "batch_size=8", "optimizer.warmup=0", "validation.attacks=[{name: fgsm}]")
        assert run("train", "standard", model, *small, f"data={data}", f"output={folder / fusion}") == 0
    return [folder / fusion / "checkpoint" for fusion in FUSIONS]


@pytest.mark.slow
def test_models_are_trained_attacked_and_attacked_from_each_other(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four cells for each attack: two white boxes and two transfers."""
    monkeypatch.chdir(ROOT)
    listed = ",".join(map(str, train(tiny_dataset, tmp_path)))
    places = (f"checkpoint=[{listed}]", f"data={tiny_dataset}", f"output={tmp_path / 'transfer'}")
    assert run("transfer", "attack_comparison", *places, "limit=4", "num_resamples=50", "workers=1") == 0
    report = TransferReport.read(tmp_path / "transfer")
    assert set(report.attacks) == ATTACKS
    for attack in ATTACKS:
        cells = {(cell.surrogate, cell.victim): cell.is_white_box for cell in report.cells_of(attack)}
        assert cells == {(one, other): one == other for one in FUSIONS for other in FUSIONS}
    costs = {each.attack: each.passes for each in report.facts.craftings}
    assert costs["fgsm"] == 1
    assert costs["tma-10"] == costs["mifgsm-10"] == 10
