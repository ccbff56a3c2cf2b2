"""Finished evaluations of 20 clips with given outcomes, and a comparison of several with awkward names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from evaluation.comparison import compare
from evaluation.comparison.result import Comparison
from evaluation.config import EvaluateConfig
from evaluation.reporting.report import Report
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates, file_sha256

Evaluated = Callable[..., Path]
NUM_CLIPS = 20
AWKWARD = ("std_50%", "rob & <ü> $x$\nnew", "a|b~c^d#e{f}\\g")
"""Names with markup of LaTeX, Markdown, HTML and matplotlib in them."""


def right(*clips: int) -> list[int]:
    """Predictions of 20 clips: the labels of those named, another class for the rest."""
    return [number % 4 if number in clips else (number + 1) % 4 for number in range(NUM_CLIPS)]


def first(count: int) -> list[int]:
    """Predictions that are right for the first `count` clips."""
    return right(*range(count))


@pytest.fixture(scope="session")
def evaluated(
    hand_made: Callable[..., Certificates],
    summarised: Callable[[Certificates, EvaluateConfig], Report],
    config: EvaluateConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> Evaluated:
    """Write an evaluation with given predictions and hand back its folder; keywords change its report."""

    def make(
        *, clean: Sequence[int], attacked: Sequence[int], config: EvaluateConfig = config, **changes: object
    ) -> Path:
        wrong = [(number + 1) % 4 for number in range(len(clean))]
        predictions = {
            "clean": clean,
            "else": attacked,
            "pgd-5 linf(video=0, audio=0)": clean,
            "pgd-5 linf(video=28/255, audio=28/255)": wrong,
            "pgd-5 linf(video=1, audio=1)": wrong,
        }
        certificates = hand_made(config, predictions)
        folder = tmp_path_factory.mktemp("evaluation")
        certificates.write(folder / CERTIFICATES_NAME)
        report = summarised(certificates, config).model_dump()
        known = {
            "certificates_sha256": file_sha256(folder / CERTIFICATES_NAME),
            "model_sha256": hashlib.sha256(folder.name.encode()).hexdigest(),
        }
        Report.model_validate(report | known | changes).write(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def standard(evaluated: Evaluated) -> Path:
    """18 of 20 clips right untouched, 2 under every attack."""
    return evaluated(clean=first(18), attacked=first(2))


@pytest.fixture(scope="session")
def robust(evaluated: Evaluated) -> Path:
    """16 of 20 clips right untouched, 14 under every attack."""
    return evaluated(clean=first(16), attacked=first(14))


@pytest.fixture(scope="session")
def masked(evaluated: Evaluated) -> Path:
    """All right untouched and under attack, and the headline number withheld."""
    withheld = {
        "worst_case_robust_accuracy": 1.0,
        "worst_case_robust_accuracy_interval": (0.8, 1.0),
        "reasons": ["fog"],
    }
    return evaluated(
        clean=first(20),
        attacked=first(20),
        worst_case_robust_accuracy=None,
        worst_case_robust_accuracy_interval=None,
        withheld=withheld,
    )


@pytest.fixture(scope="session")
def several(evaluated: Evaluated) -> tuple[Path, ...]:
    """Three trainings of one method: 10, 12 and 14 clips withstand every attack."""
    return tuple(evaluated(clean=first(16), attacked=first(count)) for count in (10, 12, 14))


@pytest.fixture(scope="session")
def awkward(standard: Path, several: tuple[Path, ...], masked: Path) -> Comparison:
    """One training, three trainings and a withheld one, with awkward names."""
    return compare(dict(zip(AWKWARD, (standard, several, masked), strict=True)))
