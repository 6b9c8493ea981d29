"""Plot: one measure as SVG: every arm with its interval, and against the number of LoRAs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

COLOURS = (
    "#2a6f97", "#e07a5f", "#81b29a", "#f2cc8f", "#6d597a", "#9c6644", "#4d908e", "#b5179e",
)  # fmt: skip
ROW, LABEL, WIDE, GAP, TOP = 24, 190, 320, 60, 46
INK, PALE = "#222222", "#dddddd"


def plot(summary: Mapping[str, Any], measure: str) -> str:
    """SVG text, whole and without scripts."""
    rows = [row for row in summary["arms"] if measure in row["measures"]]
    ends = [row["measures"][measure] for row in rows]
    known = [v for one in ends for v in (one["value"], one["low"], one["high"]) if v is not None]
    known += [s[measure] for row in rows for s in row["by_size"].values() if measure in s]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    scale = (low - room, high + room)
    sizes = sorted({int(size) for row in rows for size in row["by_size"]})
    grown = len(sizes) > 1  # there is something to draw against the number of LoRAs
    height = TOP + ROW * max(len(rows), 8 * grown) + 36
    width = LABEL + WIDE + (GAP + WIDE) * grown + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(10, 20, measure, size=15),
        *_dots(rows, measure, scale),
        *(_lines(rows, measure, sizes, scale, height - 36) if grown else ()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _dots(rows: Sequence[Mapping[str, Any]], measure: str, scale: tuple[float, float]) -> list[str]:
    bottom = TOP + ROW * len(rows)
    parts = []
    for tick in _ticks(scale):
        x = LABEL + WIDE * _at(tick, scale)
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{PALE}"/>')
        parts.append(_text(x, bottom + 16, f"{tick:.3g}", anchor="middle", size=10))
    for place, row in enumerate(rows):
        y, one = TOP + ROW * (place + 0.5), row["measures"][measure]
        parts.append(_text(LABEL - 8, y + 4, row["arm"], anchor="end"))
        if one["low"] is not None:
            ends = [LABEL + WIDE * _at(one[key], scale) for key in ("low", "high")]
            parts.append(f'<path d="M{ends[0]:.1f} {y}H{ends[1]:.1f}" stroke="{INK}"/>')
        x = LABEL + WIDE * _at(one["value"], scale)
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="4.5" fill="{colour}"/>')
    return parts


def _lines(
    rows: Sequence[Mapping[str, Any]],
    measure: str,
    sizes: Sequence[int],
    scale: tuple[float, float],
    bottom: int,
) -> list[str]:
    """The measure over the numbers of LoRAs in a set, two or more."""
    left = LABEL + WIDE + GAP
    step = WIDE / (len(sizes) - 1)
    parts = [_text(left + WIDE / 2, bottom + 30, "LoRAs in a set", anchor="middle", size=10)]
    parts += [
        _text(left + step * i, bottom + 16, str(size), anchor="middle", size=10)
        for i, size in enumerate(sizes)
    ]
    for place, row in enumerate(rows):
        values = [row["by_size"].get(str(size), {}).get(measure) for size in sizes]
        dots = [
            (left + step * i, bottom - (bottom - TOP) * _at(value, scale))
            for i, value in enumerate(values)
            if value is not None
        ]
        colour = COLOURS[place % len(COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return parts


def _ticks(scale: tuple[float, float], count: int = 5) -> list[float]:
    low, high = scale
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def _at(value: float, scale: tuple[float, float]) -> float:
    return (value - scale[0]) / (scale[1] - scale[0])


def _text(
    x: float | int, y: float | int, words: str, *, anchor: str = "start", size: int = 12
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(words)}</text>"
    )
