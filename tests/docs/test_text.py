from __future__ import annotations

from docs.generator.text import cell, papers, prose, table


def test_formulas_are_not_taken_for_markup() -> None:
    """`z_m[t]` is no link, `a * b * c` no emphasis, `<id>` no tag; a bullet stays one."""
    docstring = """L_T = ||z_m[t+1] - z_m[t]||^2 * a * b, of `<id>_[x]`.

    * files named <id>
    """
    assert prose(docstring) == (
        "L\\_T = ||z\\_m\\[t+1\\] - z\\_m\\[t\\]||^2 \\* a \\* b, of `<id>_[x]`.\n\n* files named &lt;id&gt;"
    )


def test_papers_are_linked_once() -> None:
    docstring = "Goodfellow et al. (arXiv:1412.6572), arXiv:2502.11858 and again arXiv:1412.6572."
    assert papers(docstring) == (
        "[1412.6572](https://arxiv.org/abs/1412.6572), [2502.11858](https://arxiv.org/abs/2502.11858)"
    )
    assert "(https://arxiv.org/abs/1412.6572)" in prose(docstring)


def test_sections_for_programmers_are_left_out() -> None:
    assert prose("What it does.\n\nRaises:\n    ValueError: if not.") == "What it does."


def test_a_cell_is_one_line_whose_bars_are_no_columns() -> None:
    assert cell("KL(p || q).\n\nSecond `a|b`\nline.") == "KL(p \\|\\| q).<br>Second `a|b` line."


def test_a_table_has_a_row_per_line() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
