"""A chart as a page shows it: SVG inside the page, once for light paper and once for dark."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

from evaluation.reporting.picture_style import Draw, in_dark, save

TIGHT: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.05}
"""Cut off what stays empty around a picture."""


@dataclass(frozen=True)
class Chart:
    """One chart as two data URIs."""

    light: str
    dark: str

    @classmethod
    def of(cls, light: str) -> Chart:
        """The chart that is drawn for light paper, and the same for dark."""
        kind, _, data = light.partition(",")
        svg = in_dark(base64.b64decode(data).decode())
        return cls(light, f"{kind},{base64.b64encode(svg.encode()).decode()}")


def svg(draw: Draw, *, width: float, height: float) -> str:
    """A drawing on light paper as a data URI."""
    picture = io.BytesIO()
    save(draw, picture, width=width, height=height, format="svg", metadata={"Date": None}, **TIGHT)
    return "data:image/svg+xml;base64," + base64.b64encode(picture.getvalue()).decode()
