"""Peak memory is read from the kernel, of the process that is meant, and growth shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.memory import children, measure, peak_kib
from preprocessing.schema import ClipFormat


def test_the_row_has_the_peaks_of_worker_and_decoder(
    tmp_path: Path, short_videos: list[Path], short_format: ClipFormat
) -> None:
    """The worker has loaded torch, its decoder has not."""
    row = measure(short_videos, tmp_path, short_format, few=2, many=4)
    figures = {name: float(value) for name, value in row.detail.items()}  # type: ignore[arg-type]
    assert row.ratio == max(figures["worker_growth"], figures["decoder_growth"])
    assert figures["worker_growth"] == figures["worker_mib_4"] / figures["worker_mib_2"]
    assert 20 < figures["decoder_mib_2"] < figures["worker_mib_2"]


def test_a_peak_is_that_of_the_child_alone_and_stays_when_memory_is_given_back() -> None:
    """The child takes 64 MiB, gives them back and waits."""
    program = "data = bytearray(64 << 20); del data; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.pid in children()
        assert 64 * 1024 < peak_kib(process.pid) < 128 * 1024
        process.communicate(b"\n")
    assert process.pid not in children()
    assert peak_kib(process.pid) == 0
