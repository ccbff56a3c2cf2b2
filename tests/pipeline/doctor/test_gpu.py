from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.doctor.gpu import TorchGpus, ask_torch, gpus, judged

TOO_OLD = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx"
)


def test_a_machine_without_gpus_is_in_order(tmp_path: Path) -> None:
    assert gpus(tmp_path).state == "ok"


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch can use a GPU here")
def test_gpus_that_pytorch_cannot_use_are_a_problem(tmp_path: Path) -> None:
    """Two device files, the text of a driver, and the PyTorch of this machine, which finds no driver that answers."""
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024\n")
    found = gpus(tmp_path, driver)
    assert found.state == "problem"
    assert found.said.startswith(f"2 GPUs with driver 470.256.02; PyTorch {torch.__version__} was built ")


def test_pytorch_is_asked_in_a_process_that_sees_what_ray_has_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = ask_torch()
    assert found.version == torch.__version__
    assert found.cuda == torch.version.cuda
    assert len(found.names) >= torch.cuda.device_count()


@pytest.mark.parametrize(
    ("torch_says", "state", "said", "remedy"),
    [
        (TorchGpus("2.14", None, (), ""), "problem", "was built without CUDA", "build for CUDA"),
        (TorchGpus("2.14", "13.0", (), TOO_OLD), "problem", "too old (found version 11040)", "update the driver"),
        (TorchGpus("2.14", "13.0", (), "No device"), "problem", "can use none: No device", "nvidia-smi"),
        (TorchGpus("2.14", "13.0", ("H200",), ""), "warning", "can use 1 of them", "CUDA_VISIBLE_DEVICES"),
        (TorchGpus("2.14", "13.0", ("H200", "H200"), ""), "ok", "built for CUDA 13.0: H200", ""),
    ],
)
def test_what_pytorch_says_of_two_gpus_is_judged(torch_says: TorchGpus, state: str, said: str, remedy: str) -> None:
    found = judged(2, "550.54", torch_says)
    assert found.state == state
    assert said in found.said
    assert remedy in found.remedy
    assert "Please update" not in found.said
