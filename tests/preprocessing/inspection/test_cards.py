from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from preprocessing.decoding.child import encode_jpeg
from preprocessing.inspection.cards import Card, make_card, patch_picture
from preprocessing.inspection.measuring import Measures
from preprocessing.schema import ClipFormat
from preprocessing.storage.members import member_names
from preprocessing.storage.sample_builder import npy
from preprocessing.storage.stored_sample import StoredSample

FORMAT = ClipFormat(num_segments=8, segment_seconds=0.5, frame_size=64, num_mels=16)


def card(clip: Measures, *, pixels: int = 112, max_columns: int = 12) -> Card:
    """A clip whose segment t is grey 30 t in its frame, and t / 8 in its log-mel patch."""
    record = clip.record.model_copy(update={"start_seconds": 3.0, "frame_seconds": tuple(3.2 + np.arange(8) / 2)})
    clip = replace(clip, record=record)
    jpegs = tuple(encode_jpeg(np.full((64, 64, 3), 30 * segment, np.uint8), 95) for segment in range(8))
    patches = np.repeat(np.arange(8) / 8, 16 * 50).reshape(8, 16, 50).astype(np.float16)
    files = (b"sound", *jpegs, record.model_dump_json().encode(), npy(patches))
    return make_card(
        clip,
        StoredSample("clip", dict(zip(member_names(8), files, strict=True)), FORMAT),
        class_name="singing",
        suspicions=(),
        picture_pixels=pixels,
        max_columns=max_columns,
    )


def picture(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


@pytest.fixture
def columns(clip: Callable[..., Measures]) -> Card:
    return card(clip())


def test_column_t_holds_frame_t_above_patch_t(columns: Card) -> None:
    """Patches get lighter with t in magma, whose lightness grows; frames are 0, 30, 60, ..."""
    frames = [picture(column.frame).mean() for column in columns.columns]
    patches = [picture(column.patch).mean() for column in columns.columns]
    assert frames == pytest.approx(np.arange(8) * 30, abs=2)
    assert patches == sorted(patches)
    assert patches[-1] - patches[0] > 100


def test_columns_tell_their_times_on_the_video_clock(columns: Card) -> None:
    """Segments of 0.5 s from 3.0 s on; each frame was shown 0.2 s, two fifths, into its segment."""
    assert [(column.begin_seconds, column.end_seconds) for column in columns.columns[:2]] == [(3.0, 3.5), (3.5, 4.0)]
    assert [column.frame_seconds for column in columns.columns[:2]] == pytest.approx([3.2, 3.7])
    assert [column.mark_percent for column in columns.columns] == pytest.approx([40] * 8)


def test_frames_are_made_smaller_but_never_larger(clip: Callable[..., Measures]) -> None:
    assert picture(card(clip(), pixels=32).columns[3].frame).shape == (32, 32, 3)
    assert picture(card(clip(), pixels=112).columns[3].frame).shape == (64, 64, 3)


def test_a_long_clip_is_shown_by_segments_taken_evenly(clip: Callable[..., Measures]) -> None:
    shown = card(clip(), max_columns=3)
    assert [column.begin_seconds for column in shown.columns] == [3.0, 5.0, 6.5]
    assert shown.num_segments == 8


def test_low_frequencies_are_at_the_bottom() -> None:
    patch = np.zeros((16, 50), np.float16)
    patch[:8] = 1
    shown = np.asarray(Image.open(io.BytesIO(patch_picture(patch, 112)))).astype(int)
    assert shown.shape == (16, 50, 3)
    assert shown[:7].mean() < 10
    assert shown[-7:].mean() > 190


def test_the_sound_is_the_stored_file(columns: Card) -> None:
    assert columns.sound == "data:audio/flac;base64," + base64.b64encode(b"sound").decode()
    assert not columns.has_sound
