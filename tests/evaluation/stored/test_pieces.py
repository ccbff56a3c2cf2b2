from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.config import EvaluateConfig
from evaluation.planning.plan import Measurement
from evaluation.stored.pieces import CERTIFICATES, FOLDER_NAME, KeptPieces, Piece
from evaluation.tasks.measurement import measure_all
from training.attacks import FGSM, PGD
from training.batch import Batch
from training.models import Classifier


@pytest.fixture(scope="module")
def pieces(model: Classifier, few_clips: Batch, config: EvaluateConfig) -> list[Piece]:
    measurements = (Measurement(FGSM(), config.threat), Measurement(PGD(steps=2), config.threat))
    return list(measure_all(model, [few_clips], measurements, seed=0, model_sha256="ab", first_batch=7))


def test_what_was_kept_is_read_again_whole(tmp_path: Path, pieces: list[Piece]) -> None:
    for piece in pieces:
        KeptPieces(tmp_path, {"seed": 0}).add(piece)
    found = KeptPieces(tmp_path, {"seed": 0}).read()
    assert sorted(found) == [(0, 7), (1, 7)]
    for piece in pieces:
        assert found[piece.position].certificates.table.equals(piece.certificates.table)
        assert found[piece.position].device == piece.device


def test_an_evaluation_of_other_settings_sees_none_of_them_and_loses_none(tmp_path: Path, pieces: list[Piece]) -> None:
    mine, theirs = KeptPieces(tmp_path, {"seed": 0}), KeptPieces(tmp_path, {"seed": 1})
    mine.add(pieces[0])
    assert theirs.read() == {}
    theirs.add(pieces[1])
    theirs.remove()
    assert list(mine.read()) == [(0, 7)]
    mine.remove()
    assert not (tmp_path / FOLDER_NAME).exists()


def test_a_damaged_piece_is_measured_again(tmp_path: Path, pieces: list[Piece]) -> None:
    kept = KeptPieces(tmp_path, {})
    for piece in pieces:
        kept.add(piece)
    damaged = sorted(tmp_path.rglob(f"*{CERTIFICATES}"))[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert list(KeptPieces(tmp_path, {}).read()) == [(1, 7)]
    assert not damaged.exists()
