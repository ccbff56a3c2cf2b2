"""Several methods measured on the same clips by the same attacks: which is better, and how sure that is."""

from __future__ import annotations

from evaluation.comparison.run import compare

__all__ = ["compare"]
