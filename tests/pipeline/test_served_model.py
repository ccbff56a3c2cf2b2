"""The model that MLflow serves: what it answers, what it refuses, and that it needs nothing of this project."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException

from pipeline.ports import free_port
from pipeline.served_model import SERVING_VARIABLE, VIDEOS_VARIABLE, ServedModel, _load_pyfunc, rows_of
from pipeline.tracking.model_folder import save_served_model
from tests.small_checkpoint import RESNET, write_checkpoint
from tests.tiny_video import TINY_CLASSES, write_tiny_video
from training.models import Classifier

CLIP = {"video": np.full((4, 3, 32, 32), 0.25), "audio": np.full((4, 32, 50), 0.75)}
ELSEWHERE = """
import json, sys
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
found = model.predict({"path": sys.argv[2]}) + model.predict(model.input_example)
import training
assert training.__file__.startswith(sys.argv[1]), training.__file__
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with batch normalisation, the model that MLflow keeps of it, and a video of 3 s."""
    folder = tmp_path_factory.mktemp("served")
    write_checkpoint(folder / "checkpoint", RESNET)
    save_served_model(folder / "checkpoint", folder / "model")
    write_tiny_video(folder / "video.mp4", label=1, seed=1, seconds=3.0)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return write_checkpoint(tmp_path_factory.mktemp("same") / "checkpoint", RESNET)


@pytest.fixture(scope="module")
def served(folder: Path) -> ServedModel:
    return _load_pyfunc(str(folder / "checkpoint"))


def expected_of(classifier: Classifier) -> dict[str, float]:
    with torch.inference_mode():
        logits = classifier(*(torch.from_numpy(CLIP[name])[None].float() for name in ("video", "audio"))).logits
    return dict(zip(TINY_CLASSES, torch.softmax(logits, 1)[0].tolist(), strict=True))


def test_arrays_have_the_checkpoints_classes(served: ServedModel, classifier: Classifier) -> None:
    """Doubles, as JSON has them, and nested lists."""
    for clip in (CLIP, {name: values.tolist() for name, values in CLIP.items()}):
        [found] = served.predict({name: [values] for name, values in clip.items()})
        assert found["probabilities"] == pytest.approx(expected_of(classifier), rel=1e-4)
        assert found["probability"] == pytest.approx(max(expected_of(classifier).values()), rel=1e-4)
        assert found["class"] == max(TINY_CLASSES, key=expected_of(classifier).__getitem__)


def test_a_path_and_the_files_bytes_are_the_same_video(served: ServedModel, folder: Path) -> None:
    content = (folder / "video.mp4").read_bytes()
    answers = [
        served.predict(pd.DataFrame({"path": [str(folder / "video.mp4")]})),
        served.predict(pd.DataFrame({"bytes": [content]})),
        served.predict(pd.DataFrame({"bytes": [base64.b64encode(content).decode()]})),
    ]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"video": np.zeros((3, 3, 32, 32)), "audio": CLIP["audio"]},
            r"video has shape \[3, 3, 32, 32\]; allowed: \[4,",
        ),
        ({"video": 255 * CLIP["video"], "audio": CLIP["audio"]}, r"video lies in \[63.75, 63.75\]; allowed: \[0, 1\]"),
        ({"video": CLIP["video"], "audio": CLIP["audio"] * np.nan}, r"audio lies in \[nan, nan\]"),
        ({"video": [[1], [1, 2]], "audio": CLIP["audio"]}, "video is no array of numbers"),
        ({"video": CLIP["video"]}, "has video; give path, or bytes"),
        ({"path": "a.mp4", "bytes": b"x"}, "has bytes and path; give path, or bytes"),
        ({"path": "/nowhere/a.mp4"}, "cannot be classified: missing_file"),
        ({"path": "s3://bucket/a.mp4"}, "path is 's3://bucket/a.mp4'; allowed: the path of a file"),
        ({"bytes": b"no video"}, "cannot be classified: not_media"),
        ({"bytes": "no base64!"}, "bytes is no base64"),
        ({"bytes": 5}, "bytes is a int"),
    ],
)
def test_what_is_wrong_is_told(served: ServedModel, row: dict[str, Any], said: str) -> None:
    with pytest.raises(MlflowException, match=f"^row 0 .*{said}") as caught:
        served.predict({name: [value] for name, value in row.items()})
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"  # status 400


def test_a_server_reads_files_only_where_it_may(
    served: ServedModel, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by `..` nor by a link; a path may be relative to the folder."""
    video = str(folder / "video.mp4")
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "link.mp4").symlink_to(video)
    (tmp_path / "allowed" / "mine.mp4").write_bytes((folder / "video.mp4").read_bytes())
    monkeypatch.setenv(SERVING_VARIABLE, "true")
    with pytest.raises(MlflowException, match=f"this server reads no files; .* {VIDEOS_VARIABLE} names"):
        served.predict({"path": [video]})
    monkeypatch.setenv(VIDEOS_VARIABLE, str(tmp_path / "allowed"))
    for outside in (video, "link.mp4", "../video.mp4"):
        with pytest.raises(MlflowException, match="lies outside the folder"):
            served.predict({"path": [outside]})
    assert served.predict({"path": ["mine.mp4"]}) == served.predict({"bytes": [Path(video).read_bytes()]})


def test_rows_have_what_is_there() -> None:
    frame = pd.DataFrame({"path": ["a", None], "bytes": [None, b"x"], "other": [1, 2]})
    assert rows_of(frame) == [{"path": "a"}, {"bytes": b"x"}]
    assert rows_of(pd.DataFrame({"path": [["a", "b"]]})) == [{"path": "a"}, {"path": "b"}]
    with pytest.raises(MlflowException, match="has no rows"):
        rows_of(pd.DataFrame())


def test_it_loads_and_answers_where_the_project_is_not(folder: Path, served: ServedModel, tmp_path: Path) -> None:
    """In a process whose search path lacks it: the code comes with the model. Its own example is answered, too."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", ELSEWHERE, str(folder / "model"), str(folder / "video.mp4")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, example = json.loads(done.stdout)
    assert [found] == served.predict({"path": [str(folder / "video.mp4")]})
    assert set(example["probabilities"]) == set(TINY_CLASSES)


@pytest.fixture
def address(folder: Path, tmp_path: Path) -> Iterator[str]:
    """`mlflow models serve` on the loopback interface."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder / "model"), "--port", str(port)]
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # MLflow starts `uvicorn` by name
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--env-manager", "local"],
            cwd=tmp_path,
            env=os.environ | {"PATH": search},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5):
                break
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def ask(address: str, request: dict[str, Any]) -> tuple[int, Any]:
    """Status and answer of a request."""
    message = urllib.request.Request(
        address, json.dumps(request).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(message, timeout=120) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.slow
def test_it_answers_over_rest(address: str, folder: Path, served: ServedModel, classifier: Classifier) -> None:
    """The stored example, bytes, arrays as records and as columns; what is wrong is answered with 400 and why."""
    example = json.loads((folder / "model" / "serving_input_example.json").read_text())
    assert ask(address, example)[0] == 200
    video = base64.b64encode((folder / "video.mp4").read_bytes()).decode()
    status, found = ask(address, {"dataframe_records": [{"bytes": video}]})
    assert (status, found["predictions"]) == (200, served.predict({"path": [str(folder / "video.mp4")]}))
    clip = {name: values.tolist() for name, values in CLIP.items()}
    columns = {"columns": list(clip), "data": [list(clip.values())]}
    for request in ({"dataframe_records": [clip]}, {"dataframe_split": columns}, {"inputs": [clip]}):
        status, found = ask(address, request)
        assert status == 200, found
        [answer] = found["predictions"]
        assert answer["probabilities"] == pytest.approx(expected_of(classifier), rel=1e-4)
    status, said = ask(address, {"dataframe_records": [clip | {"audio": clip["audio"][:2]}]})
    assert (status, "audio has shape [2, 32, 50]; allowed: [4, 32, 50]" in said) == (400, True)
    status, said = ask(address, {"dataframe_records": [{"path": str(folder / "video.mp4")}]})
    assert (status, "this server reads no files" in said) == (400, True)
