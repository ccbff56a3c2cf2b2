"""The tables of a measurement of transfer: for the console, as Markdown, as LaTeX and as CSV."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from evaluation.comparison.wording import points, points_range
from evaluation.reporting.grid import Grid, csv_of, in_full, latex_of
from evaluation.reporting.report import percents
from evaluation.transfer.report import Cell, Group, Mean, TransferReport
from evaluation.transfer.surrogates import LEAVE_ONE_OUT

ALL_OTHERS = "all others"
"""The row of the ensembles of all models but the victim: another ensemble in each column."""
GROUP_NAMES: Mapping[Group, str] = {
    "single": "one surrogate",
    "ensemble": "ensembles",
    "leave_one_out": ALL_OTHERS,
    "white_box": "white box",
}


def rows_of(report: TransferReport, attack: str) -> dict[str, dict[str, Cell]]:
    """The cells of an attack by surrogate and victim; the ensembles of all but the victim share a row."""
    names = {each.name: ALL_OTHERS if each.kind == LEAVE_ONE_OUT else each.name for each in report.surrogates}
    rows: dict[str, dict[str, Cell]] = {}
    for cell in report.cells_of(attack):
        rows.setdefault(names[cell.surrogate], {})[cell.victim] = cell
    return rows


def success_rates(report: TransferReport, attack: str) -> Grid:
    """One row per surrogate, one column per victim."""
    victims = report.config.victims
    rows = [
        (name, *(_cell_text(cells.get(victim)) for victim in victims))
        for name, cells in rows_of(report, attack).items()
    ]
    title = (
        f"{attack}: success rate in % with 95 % intervals, and the clips that count; * = white box; "
        f"threat model {report.config.threat}"
    )
    return Grid(title, ("crafted on", *victims), tuple(rows))


def means(report: TransferReport) -> Grid:
    """One row per group and attack."""
    rows = [
        (
            GROUP_NAMES[mean.group],
            mean.attack,
            str(mean.num_cells),
            f"{100 * mean.success_rate:.1f}",
            percents(mean.success_rate_interval),
            *_difference_text(mean),
        )
        for mean in report.means
    ]
    title = f"Mean success rate in % over cells on {report.num_clips} clips; differences to {report.baseline} in points"
    headings = ("crafted on", "attack", "cells", "success", "95 % interval", "difference", "its interval")
    return Grid(title, headings, tuple(rows), words=(0, 1))


def costs(report: TransferReport) -> Grid:
    """One row per attack and surrogate: the passes per clip."""
    rows = [
        (
            each.attack,
            each.surrogate,
            each.settings,
            f"{each.forward_passes:g}",
            f"{each.backward_passes:g}",
            f"{each.passes:g}",
        )
        for each in report.facts.craftings
    ]
    budget = report.config.budget
    title = "Passes per clip" + ("" if budget is None else f"; the budget of each is {budget}")
    return Grid(title, ("attack", "crafted on", "settings", "forward", "backward", "passes"), tuple(rows), (0, 1, 2))


def markdown(report: TransferReport) -> str:
    """All tables as Markdown."""
    grids = (means(report), *(success_rates(report, attack) for attack in report.attacks), costs(report))
    return "\n\n".join(grid.markdown() for grid in grids) + "\n"


def latex(report: TransferReport) -> str:
    """The tables of success for LaTeX."""
    return latex_of([means(report), *(success_rates(report, attack) for attack in report.attacks)])


def cells_csv(report: TransferReport) -> str:
    """One line per attack, surrogate and victim, with numbers in full."""
    names = ("success_rate", "low", "high", "difference", "difference_low", "difference_high")
    lines = [["attack", "surrogate", "victim", "is_white_box", "clips", "fooled", *names]]
    for cell in report.cells:
        numbers = [
            cell.success_rate,
            *(cell.success_rate_interval or (None, None)),
            cell.difference,
            *(cell.difference_interval or (None, None)),
        ]
        known = [cell.attack, cell.surrogate, cell.victim, str(cell.is_white_box).lower()]
        lines.append([*known, str(cell.num_clips), str(cell.num_fooled), *map(in_full, numbers)])
    return csv_of(lines)


def print_tables(report: TransferReport) -> None:
    """Print the means and the success of every attack to the console."""
    console = Console()
    for grid in (*(success_rates(report, attack) for attack in report.attacks), means(report)):
        console.print(grid.rich())


def _cell_text(cell: Cell | None) -> str:
    """`42.9 (31.0 to 54.8), 120`, with a star in the white box; a dash where nothing was crafted or nothing counts."""
    if cell is None:
        return "-"
    mark = "*" if cell.is_white_box else ""
    if cell.success_rate is None:
        return f"-{mark}, 0"
    return f"{100 * cell.success_rate:.1f}{mark} ({percents(cell.success_rate_interval)}), {cell.num_clips}"


def _difference_text(mean: Mean) -> tuple[str, str]:
    if mean.difference is None or mean.difference_interval is None:
        return "", ""
    return points(mean.difference), points_range(mean.difference_interval)
