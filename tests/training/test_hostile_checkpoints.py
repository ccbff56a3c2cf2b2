"""Checkpoints of strangers: no code, no model larger than its file, no weights of other shapes, no half of two."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from preprocessing.errors import DataError
from tests.preprocessing.storage.test_parsing import BOMB
from training.checkpoint import (
    CheckpointError,
    CheckpointInfo,
    load_identified,
    load_info,
    load_model,
    load_state,
    save,
    stored_settings,
)
from training.models import Classifier
from training.models.weights import WeightsError, load_tensors


@pytest.fixture
def folder(model: Classifier, info: CheckpointInfo, tmp_path: Path) -> Path:
    save(
        tmp_path / "it", model=model, info=info, config={"objective": {"name": "standard"}}, state={"a": torch.ones(9)}
    )
    return tmp_path / "it"


def put(record: Any, place: tuple[str, ...], value: object) -> None:
    for step in place[:-1]:
        record = record[step]
    record[place[-1]] = value


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("model", "feature_size"), 10**9, "model.feature_size: Input should be less than or equal to 65536"),
        (("model", "feature_size"), 65_536, "the weights in '.*' do not fit its model"),
        (("model", "video_encoder"), "vgg11", "frames of 16 x 16 are too small"),
        (("model", "video_encoder"), "os.system", "model.video_encoder: Input should be"),
        (("classes",), ["c"] * 5_000_000, "the weights in '.*' do not fit its model"),
        (("clip_format", "num_segments"), 10**12, "clip_format.num_segments"),
        (("clip_format", "n_fft"), 10**12, "clip_format.n_fft"),
        (("epoch",), 1e308, "epoch: "),
        (("metrics",), {"a": [[]]}, "metrics.a"),
        (("format_version",), 1e308, "is damaged: it does not say its format version"),
    ],
)
def test_no_model_larger_than_its_weights_is_built(
    place: tuple[str, ...], value: object, says: str, folder: Path
) -> None:
    """65,536 features would take 34 GB, five million classes 320 MB each for weights, gradients and moments."""
    record = json.loads((folder / "format.json").read_text())
    put(record, place, value)
    (folder / "format.json").write_text(json.dumps(record))
    begin = time.perf_counter()
    with pytest.raises(ValueError, match=says):
        load_model(folder)
    assert time.perf_counter() - begin < 10


@pytest.mark.parametrize("text", [b"[" * 100_000, b"NaN", b"", b"\x00"])
def test_a_record_that_is_none_is_refused(text: bytes, folder: Path) -> None:
    (folder / "format.json").write_bytes(text)
    with pytest.raises(CheckpointError, match=r"format\.json' does not describe a checkpoint: .* is no JSON"):
        load_info(folder)


def test_settings_that_unpack_to_a_billion_values_are_refused(folder: Path) -> None:
    (folder / "config.yaml").write_text(BOMB)
    with pytest.raises(DataError, match=r"the settings '.*config\.yaml' cannot be read: .*more than 100,000 values"):
        stored_settings(folder)


def header(text: str, *, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text.encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (header("{}", length=1 << 60), "cannot be read"),
        (
            header('{"a":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4]}}') + bytes(4),
            "cannot be read",
        ),
        (header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4000000000000]}}'), "cannot be read"),
        (header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}') + bytes(4), "do not fit its model"),
        (header("[" * 100_000), "cannot be read"),
        (pickle.dumps({"a": 1}), "cannot be read"),
        (b"", "cannot be read"),
    ],
    ids=["a length", "a shape", "an offset", "other names", "nesting", "a pickle", "nothing"],
)
def test_weights_are_held_against_the_model_before_they_are_read(data: bytes, says: str, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match=f"the weights .*{says}"):
        load_model(folder)


def test_a_pipe_in_place_of_weights_is_not_waited_for(folder: Path) -> None:
    for name in ("model.safetensors", "state.pt"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    for load in (load_model, load_state):
        with pytest.raises(CheckpointError, match="is a folder, a pipe or a device"):
            load(folder)


class Code:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.system, ("touch it-ran",)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_no_code_in_a_state_is_run(
    write: Callable[[object, Path], object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    write({"optimizer": Code()}, folder / "state.pt")
    with pytest.raises(CheckpointError, match=r"state\.pt' cannot be read: Weights only load failed"):
        load_state(folder)
    assert not (folder / "it-ran").exists()


def test_a_state_that_is_packed_is_not_unpacked(folder: Path) -> None:
    """Of a million zeros a thousand bytes are left; torch packs nothing."""
    plain = folder / "state.pt"
    with zipfile.ZipFile(plain) as archive:
        files = {each.filename: archive.read(each) for each in archive.infolist()}
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, bytes(1_000_000) if "/data/" in name else data)
    with pytest.raises(CheckpointError, match=r"bytes are packed into .*; allowed: unpacked tensors"):
        load_state(folder)
    (folder / "weights.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(WeightsError, match="cannot be read"):
        load_tensors(folder / "weights.pt")


def test_weights_and_record_are_of_one_checkpoint_while_it_is_replaced(
    model: Classifier, info: CheckpointInfo, tmp_path: Path
) -> None:
    """The epoch stands in the record, and in every weight."""
    path, is_over = tmp_path / "checkpoint", threading.Event()
    seen: list[tuple[int, set[float]]] = []
    failed: list[Exception] = []

    def write(epoch: int) -> None:
        with torch.no_grad():
            for each in model.parameters():
                each.fill_(epoch)
        save(path, model=model, info=info.model_copy(update={"epoch": epoch}), config={}, state={})

    def read() -> None:
        while not is_over.is_set():
            try:
                loaded, found, _ = load_identified(path)
                seen.append((found.epoch, {float(each.detach().mean()) for each in loaded.parameters()}))
            except Exception as error:
                failed.append(error)

    write(0)
    reader = threading.Thread(target=read)
    reader.start()
    epoch = 0
    while len({each for each, _ in seen}) < 4 and not failed:
        epoch += 1
        write(epoch)
        time.sleep(0.05)
    is_over.set()
    reader.join()
    assert failed == []
    assert all(values == {float(epoch)} for epoch, values in seen)


def test_the_model_that_is_planned_takes_no_memory(folder: Path) -> None:
    """In a process whose memory is limited to what a small model needs."""
    record = json.loads((folder / "format.json").read_text())
    record["model"]["feature_size"] = 60_000
    (folder / "format.json").write_text(json.dumps(record))
    program = (
        "import resource, sys\n"
        "from training.checkpoint import CheckpointError, load_model\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    load_model(sys.argv[1])\n"
        "except CheckpointError as error:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    told = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 200_000  # KiB
