"""One decoded frame -> the picture that is stored: upright, square pixels, its middle, in sRGB-like RGB."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

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
    side is kept, and the frame is turned as its metadata says.

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
        size, aspect, rotation = self._size, self._pixel_aspect, frame.rotation
        lines = frame.height
        if frame.interlaced_frame and frame.height > 1:
            frame, aspect = first_field(frame), aspect / 2
        width, height = frame.width * max(aspect, 1.0), frame.height / min(aspect, 1.0)
        scale = size / min(width, height)
        columns, rows = max(round(width * scale), size), max(round(height * scale), size)
        rgb = self._rgb(frame, columns, rows, lines)
        upright = np.rot90(rgb, k=round(rotation / 90))
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
