from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evaluation.prediction.export import CARD_NAME, ExportConfig, export
from preprocessing.errors import DataError, PlaceError, SettingsError
from tests.small_checkpoint import RESNET, TINY_FORMAT, write_checkpoint
from tests.tiny_video import TINY_CLASSES
from training.checkpoint import load_model

USE = """
import json, sys, torch
card = {"card.json": ""}
program = torch.export.load(sys.argv[1], extra_files=card).module()
shapes = json.loads(card["card.json"])["inputs"].values()
found = program(*(torch.full((3, *shape), 0.5) for shape in shapes))
assert not {"training", "preprocessing", "evaluation"} & set(sys.modules)
print(json.dumps(found.tolist()))
"""


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "resnet"
    write_checkpoint(folder, RESNET)
    return folder


def test_a_program_is_held_against_the_checkpoint_on_stored_clips(
    resnet: Path, tiny_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With batch normalisation, whose stored statistics must have come along."""
    output = tmp_path / "model.pt2"
    with caplog.at_level(logging.INFO):
        assert export(resnet, ExportConfig(output=str(output), data=str(tiny_dataset), batch_size=3)) < 1e-5
    assert f"wrote '{output}': on 8 test clips of '{tiny_dataset}' probabilities differ by" in caplog.text


def test_it_runs_where_there_is_torch_alone_for_any_batch(resnet: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.pt2"
    export(resnet, ExportConfig(output=str(output)))
    done = subprocess.run(
        [sys.executable, "-c", USE, str(output)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    model, _ = load_model(resnet)
    video, audio = torch.full((3, 4, 3, 32, 32), 0.5), torch.full((3, 4, 32, 50), 0.5)
    with torch.inference_mode():
        expected = torch.softmax(model(video, audio).logits, 1)
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), expected, rtol=1e-4, atol=1e-6)
    card = {CARD_NAME: ""}
    torch.export.load(output, extra_files=card)
    assert json.loads(card[CARD_NAME])["classes"] == list(TINY_CLASSES)
    assert json.loads(card[CARD_NAME])["clip_format"] == TINY_FORMAT.model_dump()


def test_one_that_differs_is_not_written(tmp_path: Path) -> None:
    """Where the checkpoint's own answer is not a number, nothing equals it."""
    write_checkpoint(tmp_path / "checkpoint", scale=float("inf"))
    with pytest.raises(DataError, match=r"differs from .* by up to nan, 0\.001 allowed .* nothing was written"):
        export(tmp_path / "checkpoint", ExportConfig(output=str(tmp_path / "model.pt2")))
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("model.onnx", "ONNX needs the packages onnx and onnxscript"),
        ("model.bin", r"a file that ends in \.pt2"),
        ("s3://bucket/model.pt2", "is a URL"),
    ],
)
def test_other_formats_are_refused_with_what_to_do(output: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said):
        export(tmp_path / "none", ExportConfig(output=output))


def test_clips_of_another_format_are_refused(checkpoint: Path, tmp_path: Path, tiny_dataset: Path) -> None:
    copy = tmp_path / "checkpoint"
    copy.mkdir()
    for file in checkpoint.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    info = json.loads((copy / "format.json").read_text())
    info["clip_format"]["jpeg_quality"] = 50
    (copy / "format.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match="the checkpoint takes clips as"):
        export(copy, ExportConfig(output=str(tmp_path / "model.pt2"), data=str(tiny_dataset)))


def test_a_place_that_cannot_be_written_is_told_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PlaceError, match="cannot be used as a folder"):
        export(tmp_path / "none", ExportConfig(output=str(tmp_path / "file" / "model.pt2")))
