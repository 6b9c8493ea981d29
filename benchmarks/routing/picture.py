"""The plot ``benchmarks/results/routing.svg``: bars for each router, and how often a weight is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.routing.measure import POOL
from benchmarks.routing.runs import OURS

SETS = {POOL: "twelve LoRAs", "composlora-sentences": "ComposLoRA", "thousand": "1,000 LoRAs"}
COLOURS = {"f1": "#2a6f97", "exact": "#a9d6e5"}
CURVES = ("#2a6f97", "#e07a5f", "#81b29a")
INK, PALE = "#222", "#ddd"
ROW, LABEL, WIDE, GAP, TOP = 26, 270, 190, 30, 64
SIDE = 240


def picture(results: dict[str, Any]) -> str:
    """SVG: a panel of bars for each set of `SETS`, then a reliability diagram of our router."""
    rows = [row for row in results["rows"] if row["encoder"] == "minilm"]
    routers = list(dict.fromkeys(row["router"] for row in rows))
    height = TOP + ROW * len(routers) + 40
    parts = [_names(routers)]
    for place, (name, title) in enumerate(SETS.items()):
        left = LABEL + place * (WIDE + GAP)
        parts.append(
            _panel(left, title, routers, {r["router"]: r for r in rows if r["set"] == name})
        )
    left = LABEL + len(SETS) * (WIDE + GAP) + 40
    ours = [r for r in rows if r["name"] == OURS and not r["part"] and r["set"] in SETS]
    parts.append(_reliability(left, ours))
    height = max(height, TOP + SIDE + 60)
    width = left + SIDE + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n'
        f"{_text(10, 22, 'Routing on held-out prompts (minilm)', size=15)}\n"
        f"{_legend()}\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _names(routers: Sequence[str]) -> str:
    return "\n".join(
        _text(LABEL - 10, TOP + ROW * i + 17, name, anchor="end") for i, name in enumerate(routers)
    )


def _legend() -> str:
    parts = []
    for place, (name, colour) in enumerate(COLOURS.items()):
        x = LABEL + place * 110
        parts.append(f'<rect x="{x}" y="30" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(x + 18, 40, {"f1": "F1", "exact": "exact set"}[name]))
    return "\n".join(parts)


def _panel(left: int, title: str, routers: Sequence[str], rows: dict[str, dict[str, Any]]) -> str:
    parts = [_text(left, TOP - 6, title)]
    bottom = TOP + ROW * len(routers)
    for tenth in range(0, 11, 5):
        x = left + WIDE * tenth / 10
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="{PALE}"/>')
        parts.append(_text(x, bottom + 16, f"{tenth / 10:.1f}", anchor="middle", size=10))
    for i, router in enumerate(routers):
        row = rows.get(router, {})
        for j, (name, colour) in enumerate(COLOURS.items()):
            value = row.get(name)
            if value is not None:
                y = TOP + ROW * i + 4 + 10 * j
                parts.append(
                    f'<rect x="{left}" y="{y}" width="{WIDE * value:.1f}" height="9" fill="{colour}"/>'
                )
        if row.get("f1") is not None:
            parts.append(
                _text(left + WIDE * row["f1"] + 3, TOP + ROW * i + 12, f"{row['f1']:.2f}", size=9)
            )
    return "\n".join(parts)


def _reliability(left: int, rows: Sequence[dict[str, Any]]) -> str:
    parts = [_axes(left)]
    for place, (row, colour) in enumerate(zip(rows, CURVES, strict=False)):
        dots = [
            (left + SIDE * each["mean weight"], TOP + SIDE * (1 - each["right"]), each["count"])
            for each in row["reliability"]
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        for x, y, count in dots:
            size = 2 + min(count, 400) ** 0.5 / 4
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" fill="{colour}"/>')
        y = TOP + 16 + 14 * place
        parts.append(f'<circle cx="{left + 10}" cy="{y - 4}" r="4" fill="{colour}"/>')
        parts.append(_text(left + 18, y, SETS[row["set"]], size=10))
    return "\n".join(parts)


def _axes(left: int) -> str:
    bottom = TOP + SIDE
    box = f'x="{left}" y="{TOP}" width="{SIDE}" height="{SIDE}"'
    ends = f'x1="{left}" y1="{bottom}" x2="{left + SIDE}" y2="{TOP}"'
    parts = [
        _text(left, TOP - 6, "Right choices by weight"),
        f'<rect {box} fill="none" stroke="{PALE}"/>',
        f'<line {ends} stroke="{PALE}" stroke-dasharray="4"/>',
        _text(left + SIDE / 2, bottom + 34, "weight", anchor="middle"),
    ]
    for tenth in range(0, 11, 5):
        at, words = SIDE * tenth / 10, f"{tenth / 10:.1f}"
        parts.append(_text(left + at, bottom + 16, words, anchor="middle", size=10))
        parts.append(_text(left - 4, bottom - at + 4, words, anchor="end", size=10))
    return "\n".join(parts)


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
