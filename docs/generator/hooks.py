"""Called by MkDocs for every page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parents[2])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the marked places of a page."""
    if ROOT not in sys.path:
        sys.path.insert(0, ROOT)
    from docs.generator.pages import expanded

    return expanded(markdown)
