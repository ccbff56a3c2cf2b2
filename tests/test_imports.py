"""The cost of a test that needs numpy or torch alone: it must not pay for Ray, MLflow and the S3 server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SLOW_TO_IMPORT = ("ray", "mlflow", "moto")
COLLECT = (
    "import sys, pytest; status = pytest.main(['-q', '--collect-only', '-p', 'no:cacheprovider', *sys.argv[1:]]);"
    f" print('imported:', *[name for name in {SLOW_TO_IMPORT!r} if name in sys.modules]); sys.exit(status)"
)


@pytest.mark.parametrize(
    "file", ["tests/preprocessing/decoding/test_segments.py", "tests/training/attacks/test_fgsm.py"]
)
def test_collecting_a_test_of_arithmetic_imports_no_ray_and_no_mlflow(file: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, file], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "imported:", (
        f"collecting {file} imports a library that takes seconds to load: import it in the fixture or function that "
        "needs it (tests/conftest.py, tests/*/conftest.py)"
    )
