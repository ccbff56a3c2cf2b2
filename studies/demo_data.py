"""The demo generator's clips as a data set for studies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.cluster import connect
from pipeline.settings.load import load
from preprocessing.config import PreprocessConfig
from preprocessing.run import preprocess
from preprocessing.schema import INDEX_NAME

CONFIGS = Path(__file__).resolve().parent.parent / "pipeline" / "configs"


def make_demo_data(folder: str, changes: Mapping[str, object] | None = None) -> None:
    """Preprocess the demo's clips into `folder` if nothing is there; `changes` are settings other than the demo's."""
    if not (Path(folder) / INDEX_NAME).exists():
        with connect():
            preprocess(
                load(PreprocessConfig, CONFIGS / "preprocess" / "demo.yaml", {"output": folder, **(changes or {})})
            )
