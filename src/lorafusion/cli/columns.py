"""Plain columns, quick enough for ten thousand rows; a rich table takes seconds for them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

GAP = "  "
WIDEST = 40
"""Characters of a column before the last one; longer cells push their row to the right."""


def columns(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under titles. On a terminal the last column is cut at the edge."""
    table = [tuple(titles), *(tuple(one_line(cell) for cell in row) for row in rows)]
    widths = [min(WIDEST, max(map(len, cells))) for cells in zip(*table, strict=True)]
    edge = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines = [_row(row, widths) for row in table]
    if edge:
        lines = [line if len(line) <= edge else f"{line[: edge - 1]}…" for line in lines]
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal may lack a letter of a name
    sys.stdout.write("\n".join(lines) + "\n")


def blocks(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with many columns: those that do not fit beside the others stand below.

    Each block repeats the first column, so that a row can be read in all of them.
    """
    table = [tuple(titles), *map(tuple, rows)]
    widths = [min(WIDEST, max(map(len, cells))) + len(GAP) for cells in zip(*table, strict=True)]
    edge = shutil.get_terminal_size().columns + len(GAP)
    start = 1
    while start < len(widths):
        stop = start + 1
        while stop < len(widths) and widths[0] + sum(widths[start : stop + 1]) <= edge:
            stop += 1
        if start > 1:
            sys.stdout.write("\n")
        columns(*_cut(table, start, stop))
        start = stop


def _cut(
    table: Sequence[tuple[str, ...]], start: int, stop: int
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The first column and those from `start` up to `stop`: titles and rows."""
    first, *others = ((row[0], *row[start:stop]) for row in table)
    return first, others


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    padded = (cell if i == last else cell.ljust(widths[i]) for i, cell in enumerate(cells))
    return GAP.join(padded).rstrip()


def one_line(text: str) -> str:
    """In one line, without characters that would act on the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
