"""The need for MLflow that a command is started with."""

from __future__ import annotations

from typing import Literal

Tracking = Literal["required", "optional", "off"]
"""Whether MLflow must answer before work begins: it must, work begins without it, or nothing is recorded."""
