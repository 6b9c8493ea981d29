"""Tables: a summary as Markdown, LaTeX and CSV; all from the same cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

Summary = Mapping[str, Any]


def markdown(summary: Summary) -> str:
    """Arms by measures with intervals, then the duels of each measure."""
    parts = [_markdown(*arm_cells(summary)), *(f"- {line}" for line in summary["about"])]
    for measure, found in summary["duels"].items():
        if found:
            parts += ["", f"### {measure}, pairs of methods", "", _markdown(*duel_cells(found))]
    return "\n".join(parts) + "\n"


def latex(summary: Summary) -> str:
    """A ``tabular`` of booktabs: arms by measures, the interval as a range."""
    head, rows = arm_cells(summary)
    lines = [
        "% written by lorafusion bench report",
        f"\\begin{{tabular}}{{l{'c' * (len(head) - 1)}}}",
        "\\toprule",
        " & ".join(map(_escaped, head)) + " \\\\",
        "\\midrule",
        *(" & ".join(map(_escaped, row)) + " \\\\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def comma(summary: Summary) -> str:
    """One row for each arm, measure and number of LoRAs ("" for all), unrounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("arm", "measure", "loras", "value", "low", "high", "sets"))
    for row in summary["arms"]:
        for name, one in row["measures"].items():
            cells = (one["value"], _blank(one["low"]), _blank(one["high"]), one["sets"])
            writer.writerow((row["arm"], name, "", *cells))
        for size, measures in row["by_size"].items():
            for name, value in measures.items():
                writer.writerow((row["arm"], name, size, value, "", "", ""))
    return text.getvalue()


def number(value: float | None) -> str:
    """Four significant digits; a dash for nothing, and no sign on zero."""
    return "-" if value is None else f"{value + 0.0:.4g}"


def interval(one: Mapping[str, Any]) -> str:
    """ "0.312 [0.305, 0.318]"."""
    if one["low"] is None:
        return number(one["value"])
    return f"{number(one['value'])} [{number(one['low'])}, {number(one['high'])}]"


def arm_cells(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Header and rows: arms by measures."""
    measures = summary["measures"]
    rows = [
        [
            row["arm"],
            str(row["sets"]),
            str(row["images"]),
            *(
                interval(row["measures"][name]) if name in row["measures"] else "-"
                for name in measures
            ),
        ]
        for row in summary["arms"]
    ]
    return ["arm", "sets", "images", *measures], rows


def duel_cells(found: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: every pair of arms on one measure."""
    head = ["first", "second", "wins", "ties", "losses", "difference", "p", "p (Holm)", "sets"]
    rows = [
        [
            one["first"],
            one["second"],
            *(f"{one[key]['value']:.1%}" for key in ("wins", "ties", "losses")),
            interval(one["difference"]),
            number(one["p"]),
            number(one["corrected"]),
            str(one["sets"]),
        ]
        for one in found
    ]
    return head, rows


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _escaped(text: str) -> str:
    for sign in "\\&%$#_{}":
        text = text.replace(sign, f"\\{sign}" if sign != "\\" else "\\textbackslash ")
    return text


def _blank(value: float | None) -> float | str:
    return "" if value is None else value
