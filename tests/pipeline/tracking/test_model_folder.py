from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from pipeline.tracking.model_folder import CODE, PACKAGES, ROOT, example_video, pinned, save_served_model
from preprocessing.config import AcceptanceRules, DecodeLimits
from preprocessing.decoding.parent import DecoderProcess
from tests.small_checkpoint import TINY_FORMAT, write_checkpoint

IMPORTED = (
    "import json, sys, pipeline.served_model; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model_folder")
    write_checkpoint(folder / "checkpoint")
    save_served_model(folder / "checkpoint", folder / "model")
    return folder


def test_the_weights_travel_without_the_optimizers_state(folder: Path) -> None:
    [stored] = (folder / "model" / "data").iterdir()
    assert {each.name for each in stored.iterdir()} == {"model.safetensors", "config.yaml", "format.json"}
    assert not list((folder / "model").rglob("*.pkl"))


def test_all_packages_of_others_are_pinned_and_none_has_this_projects_name(folder: Path) -> None:
    """Whoever registered such a name on an index would be run."""
    lines = (folder / "model" / "requirements.txt").read_text().split()
    assert sorted(lines) == sorted(pinned(PACKAGES))
    assert all("==" in line and "+" not in line for line in lines)
    environment = (folder / "model" / "conda.yaml").read_text() + (folder / "model" / "MLmodel").read_text()
    assert "robust-audio-visual" not in environment


def test_the_code_travels_with_it(folder: Path) -> None:
    assert {each.name for each in (folder / "model" / "code").iterdir()} == set(CODE)
    for name in CODE:
        written = {each.relative_to(ROOT) for each in (ROOT / name).rglob("*.py")}
        assert {
            each.relative_to(folder / "model" / "code") for each in (folder / "model" / "code" / name).rglob("*.py")
        } == written


def test_it_says_what_it_takes_and_gives(folder: Path) -> None:
    signature = yaml.safe_load((folder / "model" / "MLmodel").read_text())["signature"]
    inputs, outputs = json.loads(signature["inputs"]), json.loads(signature["outputs"])
    assert [each["name"] for each in inputs] == ["path", "bytes", "video", "audio"]
    assert not any(each["required"] for each in inputs)
    assert [each["name"] for each in outputs] == ["class", "probability", "probabilities"]


def test_whatever_the_code_imports_is_pinned() -> None:
    """Of the packages that this project depends on; what those bring is theirs."""
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True)
    by_module = packages_distributions()
    loaded = {name.lower() for module in json.loads(done.stdout) for name in by_module.get(module, ())}
    depended = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().split()} & direct()
    assert loaded & depended <= set(PACKAGES)


def direct() -> set[str]:
    """Names of the packages in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split(r"[^A-Za-z0-9-]", each)[0].lower() for each in project["dependencies"]}


def test_the_example_is_a_video_that_decodes(tmp_path: Path) -> None:
    (tmp_path / "example.mp4").write_bytes(example_video(TINY_FORMAT))
    options = AcceptanceRules().decode_options(TINY_FORMAT)
    with DecoderProcess(options, DecodeLimits().process_limits) as decoder:
        clip = decoder.decode(tmp_path / "example.mp4", root=tmp_path, start_seconds=0.0)
    assert clip.video_coverage == 1
    assert (tmp_path / "example.mp4").stat().st_size < 20_000
