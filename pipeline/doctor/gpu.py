"""The check of GPUs: those of the machine, the driver, and the CUDA that PyTorch was built for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.doctor.finding import Finding, ok, problem, warning

CHILD_SECONDS = 120
ASK_TORCH = """
import json, warnings
import torch
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    is_available = torch.cuda.is_available()
names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] if is_available else []
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "names": names,
                  "said": " ".join(str(each.message) for each in said)}))
"""


@dataclass(frozen=True)
class TorchGpus:
    """The GPUs as PyTorch sees them."""

    version: str
    cuda: str | None
    """The CUDA that PyTorch was built for; None: for none."""
    names: tuple[str, ...]
    """Of the GPUs that it can use."""
    said: str
    """Its warnings when it looked for them."""


def gpus(devices: Path = Path("/dev"), driver: Path = Path("/proc/driver/nvidia/version")) -> Finding:
    """The GPUs of this machine, and whether PyTorch can use them."""
    num_devices = len([each for each in devices.glob("nvidia*") if each.name.removeprefix("nvidia").isdigit()])
    if not num_devices:
        return ok("GPUs", "this machine has none of NVIDIA's; models run on its processor")
    said = driver.read_text() if driver.is_file() else ""
    found = re.search(r"Module(?: for \S+)?\s+(\d+[\d.]*)", said)
    try:
        return judged(num_devices, found[1] if found else "unknown", ask_torch())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        told = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
        return problem("GPUs", f"PyTorch cannot be asked: {told}", "python -c 'import torch' shows what is broken")


def judged(num_devices: int, driver: str, torch: TorchGpus) -> Finding:
    """The finding for a machine with so many GPUs, this driver, and what PyTorch says."""
    there = f"{num_devices} GPUs with driver {driver}; PyTorch {torch.version}"
    if torch.cuda is None:
        return problem("GPUs", f"{there} was built without CUDA", "install PyTorch's build for CUDA")
    there = f"{there} was built for CUDA {torch.cuda}"
    if not torch.names and "too old" in torch.said:
        return problem(
            "GPUs",
            f"{there}, for which the driver is too old: {torch.said.partition('. ')[0]}",
            f"update the driver to one for CUDA {torch.cuda}, or install a PyTorch that was built for an older CUDA",
        )
    if not torch.names:
        why = f": {torch.said}" if torch.said else ""
        return problem(
            "GPUs", f"{there} and can use none{why}", "see whether nvidia-smi works, and /dev/nvidia* is ours"
        )
    if len(torch.names) < num_devices:
        hidden = f"{there} and can use {len(torch.names)} of them"
        return warning("GPUs", hidden, "see CUDA_VISIBLE_DEVICES if the others are wanted")
    return ok("GPUs", f"{there}: {', '.join(sorted(set(torch.names)))}")


def ask_torch() -> TorchGpus:
    """Ask PyTorch in a process of its own: this one takes no memory of a GPU, and Ray may have hidden them from it."""
    visible = {name: value for name, value in os.environ.items() if (name, value) != ("CUDA_VISIBLE_DEVICES", "")}
    command = [sys.executable, "-c", ASK_TORCH]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_SECONDS, check=True, env=visible)
    told = json.loads(done.stdout)
    return TorchGpus(version=told["version"], cuda=told["cuda"], names=tuple(told["names"]), said=told["said"])
