"""The plot ``benchmarks/results/speed.svg``: the time of steps and layers beside the bare base's, ours and peft's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.speed.page import label
from benchmarks.speed.steps import QUICK

COLOURS = {"peft": "#e07a5f", "inject": "#2a6f97", "fold": "#a9d6e5", QUICK: "#bbb"}
INK = "#222"
LEFT, WIDE, BAR, TOP = 250, 420, 13, 50


def picture(rows: Sequence[dict[str, Any]]) -> str:
    """SVG: for each step and layer sum, bars of the time as a multiple of the bare base's."""
    shown = [row for row in rows if row["case"]["experiment"] in ("step", "layers")]
    values = [_times(row, name) for row in shown for name in COLOURS]
    most = max([*values, 1.1])
    parts = [_text(10, 22, "Time as a multiple of the bare base's, which is the line", size=15)]
    for place, (name, colour) in enumerate(COLOURS.items()):
        x = LEFT + 90 * place
        parts.append(f'<rect x="{x}" y="30" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(x + 17, 40, name))
    y, line = TOP, LEFT + WIDE / most
    end = TOP + len(shown) * (BAR * len(COLOURS) + 12)
    parts.append(f'<line x1="{line:.1f}" y1="{TOP}" x2="{line:.1f}" y2="{end}" stroke="{INK}"/>')
    for row in shown:
        parts.append(
            _text(LEFT - 8, y + 24, f"{label(row['case'])}, {row['malloc']}", anchor="end")
        )
        for name, colour in COLOURS.items():
            times = _times(row, name)
            width = times / most * WIDE
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'
            )
            parts.append(_text(LEFT + width + 4, y + 10, f"{times:.2f}", size=10))
            y += BAR
        y += 12
    width, height = LEFT + WIDE + 60, y + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _times(row: dict[str, Any], name: str) -> float:
    ratio: float = row["found"]["ratio to base"][name]["median"]
    return ratio


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    halo = 'paint-order="stroke" stroke="white" stroke-width="3"'
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place} {halo}>{escape(words)}</text>"
