"""The contract of a stored data set."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from preprocessing.schema import ClipFormat, WantedFormat


def test_the_default_format_is_ten_seconds_of_kinetics() -> None:
    clip_format = ClipFormat()
    assert (clip_format.clip_seconds, clip_format.segment_samples, clip_format.steps) == (10.0, 16_000, 100)


def test_a_segment_holds_whole_steps() -> None:
    with pytest.raises(ValidationError, match=r"is 16080 samples; it must be a whole multiple of hop_length=160"):
        ClipFormat(segment_seconds=1.005)


def test_a_segment_holds_a_window() -> None:
    with pytest.raises(ValidationError, match="a segment of 320 samples is too short for n_fft=1024"):
        ClipFormat(segment_seconds=0.02)


def test_a_format_without_an_offset_is_written_as_before_there_were_any() -> None:
    """So that plans, and all that is named by their hash, stay what they are; one with an offset says so."""
    assert "offset" not in ClipFormat().model_dump()
    assert "offset" not in WantedFormat().model_dump_json()
    later = ClipFormat(offset=0.5)
    assert ClipFormat.model_validate(later.model_dump()) == later
    assert later.model_dump(include={"offset"}) == {"offset": 0.5}


def test_an_offset_is_less_than_a_segment() -> None:
    with pytest.raises(ValidationError, match="less than 1"):
        ClipFormat(offset=1.0)
