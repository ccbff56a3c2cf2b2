"""The compute options are compared by the steps of real trainings that differ in them alone."""

from __future__ import annotations

import pytest
import torch

from benchmarks.compute_options import OPTIONS, measure, settings
from preprocessing.schema import ClipFormat
from training.models import ModelConfig

TINY = ModelConfig(video_encoder="tiny", audio_encoder="tiny", feature_size=16)


def test_every_option_has_a_row_and_its_training_begins_as_the_plain_one(short_format: ClipFormat) -> None:
    """Rounding alone tells the first losses apart; the global random state is left as it was."""
    before = torch.get_rng_state()
    rows = {row.name: row for row in measure(short_format, TINY, rounds=2)}
    assert torch.equal(torch.get_rng_state(), before)
    assert list(rows) == [f"{name}_step_vs_plain" for name in list(OPTIONS)[1:]]
    for row in rows.values():
        figures = {name: float(row.detail[name]) for name in ("cpu_ms", "first_loss", "plain_first_loss")}  # type: ignore[arg-type]
        assert figures["cpu_ms"] > 0.0
        assert isinstance(row.ratio, float)
        assert figures["first_loss"] == pytest.approx(figures["plain_first_loss"], rel=0.02)
    rounded = rows["bfloat16_step_vs_plain"].detail
    assert rounded["first_loss"] != rounded["plain_first_loss"]


def test_the_plain_training_has_the_defaults() -> None:
    plain = settings("unused", TINY, **OPTIONS["plain"])
    assert (plain.precision, plain.channels_last) == ("float32", False)
    others = [settings("unused", TINY, **changes) for name, changes in OPTIONS.items() if name != "plain"]
    assert len({(each.precision, each.channels_last) for each in (plain, *others)}) == len(OPTIONS)
