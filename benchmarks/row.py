"""One line of the benchmark table: a ratio of two things measured side by side in one run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """A measured ratio and what it should be."""

    name: str
    ratio: float | str
    """Words in place of the number say why it could not be measured here."""
    aim: str
    """The ratio wanted, such as `1.05 or less` or `0.85 or more`."""
    detail: dict[str, object] = field(default_factory=dict)
    """The raw figures behind the ratio."""

    @property
    def is_met(self) -> bool:
        """Whether the ratio is what `aim` wants; one that could not be measured is not.

        Raises:
            ValueError: if `aim` is of neither form.
        """
        bound, _, side = self.aim.partition(" or ")
        if not side.startswith(("less", "more")):
            raise ValueError(f"the aim of '{self.name}' is '{self.aim}'; allowed: 'NUMBER or less', 'NUMBER or more'")
        if isinstance(self.ratio, str):
            return False
        return self.ratio <= float(bound) if side.startswith("less") else self.ratio >= float(bound)
