"""Evaluations that are broken off, run again, or meet a model that some attacks cannot be run on."""

from __future__ import annotations

import itertools
import logging
import shutil
from pathlib import Path

import pytest
from torch import Tensor, nn

from evaluation.reporting.page import PAGE_NAME
from evaluation.reporting.report import REPORT_NAME, Report
from evaluation.run import check, evaluate, finished_report, suited_to, verify
from evaluation.stored.certificates import CERTIFICATES_NAME
from evaluation.stored.perturbations import PERTURBATIONS_NAME
from evaluation.stored.pieces import CERTIFICATES, FOLDER_NAME, KeptPieces, Piece
from pipeline.settings.load import override
from preprocessing.errors import DataError, SettingsError
from preprocessing.storage.records import load_index
from tests.evaluation.evaluations import settings, trained_checkpoint
from training.attacks import FGSM, MMA, PGD, TIA, TMA
from training.models.adapters import Adapter
from training.threat import ThreatModel


@pytest.fixture(scope="module")
def checkpoint(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_checkpoint(tiny_dataset, tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def undisturbed(checkpoint: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    output = tmp_path_factory.mktemp("undisturbed")
    return output, evaluate(settings(checkpoint, tiny_dataset, output))


def test_an_interrupted_evaluation_goes_on_where_it_stood(
    undisturbed: tuple[Path, Report],
    checkpoint: Path,
    tiny_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Broken off after five pieces, and taken up with another number of workers: the same bytes in the end."""
    config = settings(checkpoint, tiny_dataset, tmp_path)
    count, add = itertools.count(), KeptPieces.add

    def interrupted(kept: KeptPieces, piece: Piece) -> Piece:
        if next(count) == 5:
            raise KeyboardInterrupt
        return add(kept, piece)

    with monkeypatch.context() as patch:
        patch.setattr(KeptPieces, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(config)
    assert not (tmp_path / REPORT_NAME).exists()
    assert len(list((tmp_path / FOLDER_NAME).rglob(f"*{CERTIFICATES}"))) == 5
    with caplog.at_level(logging.INFO, logger="evaluation"):
        evaluate(override(config, {"workers": 1}))
    assert "5 of 44 pieces are there already" in caplog.text
    for name in (CERTIFICATES_NAME, PERTURBATIONS_NAME):
        assert (tmp_path / name).read_bytes() == (undisturbed[0] / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        CERTIFICATES_NAME,
        PERTURBATIONS_NAME,
        PAGE_NAME,
        REPORT_NAME,
    ]


def test_a_finished_evaluation_is_recognised(
    undisturbed: tuple[Path, Report], checkpoint: Path, tiny_dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same one, also on other machines; with other settings it is another."""
    output, report = undisturbed
    with caplog.at_level(logging.INFO, logger="evaluation"):
        again = evaluate(settings(checkpoint, tiny_dataset, output, workers=3))
    assert again == report
    assert "holds this evaluation, finished" in caplog.text
    other = check(settings(checkpoint, tiny_dataset, output, seed=1))
    assert finished_report(other) is None


def test_attacks_that_the_model_cannot_be_attacked_by_are_left_out(tiny_dataset: Path) -> None:
    """Logits alone: no features for the paper's three, which cannot be the reference attack then."""
    index = load_index(str(tiny_dataset))
    size = index.format.num_segments * 3 * index.format.frame_size**2
    model = Adapter(LogitsOfFrames(size, len(index.classes)))
    config = settings(Path("c"), tiny_dataset, Path("o"), attacks=(FGSM(), TMA(), MMA(), PGD(steps=2)))
    config = override(config, {"curve_attacks": (MMA(), PGD(steps=3), TIA())})
    suited, left_out = suited_to(config, model, index)
    assert (suited.attacks, suited.curve_attacks) == ((FGSM(), PGD(steps=2)), (PGD(steps=3),))
    assert [reason.partition(":")[0] for reason in left_out] == ["tma-10", "mma-10", "tia-10"]
    none_fits = override(config, {"attacks": (TMA(),)})
    with pytest.raises(SettingsError, match="no attack of the list can be run on this model: tma-10: the model gives"):
        suited_to(none_fits, model, index)
    with pytest.raises(SettingsError, match="reference_attack=tia-10 cannot be run"):
        suited_to(override(config, {"reference_attack": TIA()}), model, index)


class LogitsOfFrames(nn.Module):
    """A stranger's model that looks at the frames alone."""

    def __init__(self, size: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, num_classes)

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        logits: Tensor = self.linear(video.flatten(1))
        return logits


def test_a_folder_above_the_checkpoint_says_where_it_is(checkpoint: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a checkpoint: it has no format.json; '.*/checkpoint' is one"):
        evaluate(settings(checkpoint.parent, tiny_dataset, tmp_path))


def test_an_attack_from_a_surrogate_is_in_the_report(checkpoint: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    """The surrogate is a copy of the model, so its attack fools as many clips as the same one on the model."""
    other = shutil.copytree(checkpoint, tmp_path / "other model")
    changed = {
        "surrogates": (str(other),),
        "transfer_attacks": (FGSM(),),
        "attacks": (PGD(steps=1, step_size=1e-6), FGSM()),
        "threat": ThreatModel(video=32 / 255, audio=32 / 255),
        "curve": (1.0,),
        "limit": 8,
    }
    output = tmp_path / "report"
    report = evaluate(settings(checkpoint, tiny_dataset, output, **changed))
    assert [attack.name for attack in report.attacks][1:] == ["fgsm", "fgsm from surrogate"]
    assert report.attacks[1].robust_accuracy == report.attacks[2].robust_accuracy
    assert report.surrogates_sha256 == (report.model_sha256,)
    assert verify(output) == []
