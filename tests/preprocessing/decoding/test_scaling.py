"""Stored pictures: the right colours, one instant, upright and square."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from preprocessing.decoding.scaling import PictureMaker, as_displayed, rotation_matrix
from tests.preprocessing.recordings import Ffmpeg

COLOUR = (200, 60, 120)
FFMPEG_NAMES = {"bt601": "smpte170m", "bt709": "bt709", "bt2020": "bt2020nc"}


def first_frame(path: Path) -> VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def encode(ffmpeg: Ffmpeg, path: Path, source: str, filters: str, *codec: object) -> VideoFrame:
    """The first frame of a lossless video."""
    options = codec or ("-c:v", "libx264", "-qp", 0, "-preset", "ultrafast")
    ffmpeg("-f", "lavfi", "-i", source, "-vf", filters, "-frames:v", 1, *options, path)
    return first_frame(path)


def middle(picture: NDArray[np.uint8]) -> tuple[int, ...]:
    row = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    return tuple(int(value) for value in row)


@pytest.mark.parametrize("value_range", ["tv", "pc"])
@pytest.mark.parametrize("matrix", FFMPEG_NAMES)
def test_a_known_colour_comes_back_whatever_matrix_and_range_stored_it(
    matrix: str, value_range: str, tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    """Read as BT.601, BT.709's green would come out 20 levels darker."""
    filters = (
        f"format=gbrp,scale=out_color_matrix={matrix}:out_range={value_range}:flags=accurate_rnd,format=yuv420p,"
        f"setparams=colorspace={FFMPEG_NAMES[matrix]}:range={value_range}"
    )
    frame = encode(ffmpeg, tmp_path / "colour.mp4", "color=0xC83C78:s=64x64:r=5", filters)
    assert middle(PictureMaker(32, 1.0)(frame)) == pytest.approx(COLOUR, abs=3)


@pytest.mark.parametrize(("size", "matrix"), [("96x576", "bt601"), ("96x720", "bt709")])
def test_untagged_colours_are_read_as_players_read_them(size: str, matrix: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    filters = (
        f"format=gbrp,scale=out_color_matrix={matrix}:out_range=tv:flags=accurate_rnd,format=yuv420p,"
        "setparams=colorspace=unknown:range=unknown"
    )
    frame = encode(ffmpeg, tmp_path / "untagged.mp4", f"color=0xC83C78:s={size}:r=5", filters)
    assert middle(PictureMaker(32, 1.0)(frame)) == pytest.approx(COLOUR, abs=3)


def test_gray_video_is_gray(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    frame = encode(ffmpeg, tmp_path / "gray.mp4", "color=0x646464:s=64x64:r=5", "format=gray")
    assert middle(PictureMaker(32, 1.0)(frame)) == pytest.approx((100, 100, 100), abs=2)


def test_ten_bits_show_what_eight_show(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    eight = encode(ffmpeg, tmp_path / "8.mp4", "testsrc2=s=64x64:r=5", "format=yuv420p")
    ten = encode(ffmpeg, tmp_path / "10.mp4", "testsrc2=s=64x64:r=5", "format=yuv420p,format=yuv420p10le")
    make = PictureMaker(32, 1.0)
    assert np.abs(make(eight).astype(int) - make(ten)).max() <= 2


def test_high_dynamic_range_is_mapped_to_what_a_screen_shows(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """PQ codes 0.508 and 0.581 are 100 and 203 cd/m2 (BT.2408: diffuse white is 203). Shown as if they were
    ordinary video they would be the levels 130 and 148; mapped, diffuse white is bright and 100 cd/m2 well above
    middle gray, and black stays black."""
    hdr = "setparams=colorspace=bt2020nc:range=tv:color_primaries=bt2020:color_trc=smpte2084"
    codec = ("-c:v", "libx265", "-x265-params", "log-level=none:pools=1:lossless=1", "-preset", "ultrafast")
    levels = []
    make = PictureMaker(32, 1.0)
    for name, gray in (("black", 0), ("100", 130), ("203", 148)):
        source = f"color=0x{gray:02x}{gray:02x}{gray:02x}:s=64x64:r=5"
        filters = f"format=gbrp,scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le,{hdr}"
        red, green, blue = middle(make(encode(ffmpeg, tmp_path / f"{name}.mp4", source, filters, *codec)))
        assert max(red, green, blue) - min(red, green, blue) <= 3
        levels.append(green)
    black, hundred, diffuse_white = levels
    assert black <= 2
    assert 180 <= hundred <= 210
    assert 225 <= diffuse_white <= 250


def test_an_interlaced_frame_shows_its_first_field_only(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """Fields alternate between black and white, every 1/50 s: both together are a comb, its mean gray."""
    for scan, expected in (("tff", 0), ("bff", 0)):
        source = "color=black:s=64x64:r=50,drawbox=c=white:t=fill:enable=mod(n\\,2)"
        frame = encode(ffmpeg, tmp_path / f"{scan}.mp4", source, f"format=yuv420p,interlace=scan={scan}:lowpass=off",
                       "-c:v", "libx264", "-qp", 0, "-flags", "+ilme+ildct")  # fmt: skip
        assert frame.interlaced_frame
        picture = PictureMaker(32, 1.0)(frame)
        assert picture.shape == (32, 32, 3)
        assert np.abs(picture.astype(int) - expected).max() <= 2


def test_the_field_of_a_frame_keeps_the_shape_of_the_picture(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """A white square in the middle stays a square."""
    source = "color=black:s=96x96:r=50,drawbox=x=24:y=24:w=48:h=48:c=white:t=fill"
    frame = encode(ffmpeg, tmp_path / "square.mp4", source, "format=yuv420p,interlace=scan=tff:lowpass=off",
                   "-c:v", "libx264", "-qp", 0, "-flags", "+ilme+ildct")  # fmt: skip
    white = PictureMaker(96, 1.0)(frame).mean(axis=2) > 128
    assert white.sum(axis=0).max() == pytest.approx(48, abs=2)
    assert white.sum(axis=1).max() == pytest.approx(48, abs=2)


@pytest.mark.parametrize("mirror", [(), ("-display_hflip",), ("-display_vflip",), ("-display_hflip", "-display_vflip")])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_each_way_to_lay_down_a_picture_is_the_one_ffmpeg_shows(
    degrees: int, mirror: tuple[str, ...], tmp_path: Path, ffmpeg: Ffmpeg
) -> None:
    """All eight display matrices, eight of them written in two ways."""
    upright, path = tmp_path / "upright.mp4", tmp_path / "laid.mp4"
    encode(ffmpeg, upright, "testsrc2=s=96x96:r=5", "format=yuv444p")
    ffmpeg("-display_rotation", degrees, *mirror, "-i", upright, "-c", "copy", path)
    raw = ffmpeg("-i", path, "-vf", "scale=96:96:flags=accurate_rnd+full_chroma_int", "-frames:v", 1, "-f", "rawvideo",
                 "-pix_fmt", "rgb24", "-")  # fmt: skip
    shown = np.frombuffer(raw, np.uint8).reshape(96, 96, 3).astype(int)
    assert np.abs(PictureMaker(96, 1.0)(first_frame(path)) - shown).mean() < 3


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_a_picture_of_which_the_angle_alone_is_known_is_turned_by_it(degrees: int) -> None:
    """As that of stereoscopic video, whose side data PyAV cannot read. Counted counterclockwise."""
    picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(as_displayed(picture, rotation_matrix(degrees)), np.rot90(picture, degrees // 90))


@pytest.mark.parametrize("size", ["341x255", "17x301", "64x64"])
def test_any_size_becomes_a_square(size: str, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    """A white box in the middle stays there."""
    side = "min(iw\\,ih)/4"
    frame = encode(ffmpeg, tmp_path / "odd.mp4",
                   f"color=gray:s={size}:r=5,drawbox=x=(iw-{side})/2:y=(ih-{side})/2:w={side}:h={side}:c=white:t=fill",
                   "format=yuv444p")  # fmt: skip
    picture = PictureMaker(64, 1.0)(frame).mean(axis=2)
    rows, columns = np.nonzero(picture > 190)
    assert picture.shape == (64, 64)
    assert (rows.mean(), columns.mean()) == pytest.approx((31.5, 31.5), abs=2)
