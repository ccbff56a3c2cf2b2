"""One decoded frame -> the picture that is stored: upright, square pixels, its middle, in sRGB-like RGB."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

# Chroma at full width and rounded, not cut off: the scaler's default is four levels too dark. The same on every CPU.
SCALING = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
# `AVCOL_SPC_UNSPECIFIED`: the stream does not say which matrix its colours were made with.
UNSPECIFIED = 2
# Untagged video: BT.709 from 720 lines on, BT.601 below, as players take it (no standard says).
HD_LINES = 720
HDR_CURVES = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
TONE_MAPPER = VideoReformatter()
"""Keeps its table of colours for the next frame and the next clip: computing it takes three seconds."""


class PictureMaker:
    """Makes pictures `[size, size, 3]` of the frames of one video.

    Pixels that are not square are stretched, the short side as displayed is scaled to `size`, the middle of the long
    side is kept, and the frame is turned and mirrored as its metadata says.

    * Colours: the stream's matrix (BT.601, 709, 2020) and range (limited, full) are honoured.
    * High dynamic range (PQ, HLG) is mapped to BT.709's primaries and curve by libswscale.
    * Interlaced: a frame holds two instants, every second line each. The picture is made of the field shown first, so
      it shows one instant, the frame's own presentation time, at half the lines.
    """

    def __init__(self, size: int, pixel_aspect: float) -> None:
        self._size = size
        self._pixel_aspect = pixel_aspect
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """The picture of a frame."""
        size, aspect = self._size, self._pixel_aspect
        lines, matrix = frame.height, display_matrix(frame)
        if frame.interlaced_frame and frame.height > 1:
            frame, aspect = first_field(frame), aspect / 2
        width, height = frame.width * max(aspect, 1.0), frame.height / min(aspect, 1.0)
        scale = size / min(width, height)
        columns, rows = max(round(width * scale), size), max(round(height * scale), size)
        rgb = self._rgb(frame, columns, rows, lines)
        upright = as_displayed(rgb, matrix)
        top, left = (upright.shape[0] - size) // 2, (upright.shape[1] - size) // 2
        return cast(NDArray[np.uint8], np.ascontiguousarray(upright[top : top + size, left : left + size]))

    def _rgb(self, frame: VideoFrame, columns: int, rows: int, lines: int) -> NDArray[np.uint8]:
        """A frame scaled to `[rows, columns, 3]`; threads of the scaler would cost more than the scaling itself."""
        matrix = None
        if frame.colorspace == UNSPECIFIED:
            matrix = Colorspace.ITU709 if lines >= HD_LINES else Colorspace.ITU601
        is_hdr = frame.color_trc in HDR_CURVES
        scaled = self._scaler.reformat(
            frame,
            columns,
            rows,
            "rgb48le" if is_hdr else "gbrp",  # planes: the scaler takes twice as long to pack the same pixels
            src_colorspace=matrix,
            dst_color_range=ColorRange.JPEG,
            interpolation=SCALING,
            threads=1,
        )
        if is_hdr:
            scaled = TONE_MAPPER.reformat(
                scaled,
                format="rgb24",
                dst_color_trc=ColorTrc.BT709,
                dst_color_primaries=ColorPrimaries.BT709,
                interpolation=SCALING,
                threads=1,
            )
        return cast(NDArray[np.uint8], scaled.to_ndarray())


def display_matrix(frame: VideoFrame) -> NDArray[np.float64]:
    """The matrix `[2, 2]` by which a player places pixels: one in column x and row y goes to `(x, y) @ matrix`.

    A phone turns what it filmed by it, and mirrors what its front camera filmed; only its directions matter.
    """
    try:
        found: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV knows the angle alone beside data of a kind it has no name for, as in stereoscopic video
        return rotation_matrix(frame.rotation)
    return np.eye(2) if found is None else np.frombuffer(found, np.int32).reshape(3, 3)[:2, :2].astype(np.float64)


def rotation_matrix(degrees: int) -> NDArray[np.float64]:
    """The display matrix that turns a picture counterclockwise by this angle."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def as_displayed(picture: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A picture `[rows, columns, 3]` turned and mirrored, to the nearest of the eight ways to lay down a rectangle."""
    (across, across_to_down), (down_to_across, down) = matrix
    if abs(across_to_down) + abs(down_to_across) > abs(across) + abs(down):
        picture = picture.swapaxes(0, 1)
        across, down = down_to_across, across_to_down
    return picture[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def first_field(frame: VideoFrame) -> VideoFrame:
    """The field of an interlaced frame that is shown first: every second line."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=Fraction(1),  # nobody asks the field for its time
    )
    graph.link_nodes(source, graph.add("separatefields"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()
