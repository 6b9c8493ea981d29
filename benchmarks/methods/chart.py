"""A gate chart, drawn from a Plan: a row for each LoRA on each branch, a column for each step."""

from __future__ import annotations

from xml.sax.saxutils import escape

import lorafusion as lf
from lorafusion.lora import sources_of

LABEL, CELL, ROW, TOP, MOST = 230, 16, 18, 34, 14
INK, COLOUR, PALE = "#222", (42, 111, 151), "#eee"


def chart(plan: lf.Plan) -> str:
    """SVG; the darker a cell, the further the LoRA is open, from 0 to the plan's greatest gate."""
    rows = _rows(plan)
    most = max([abs(value) for _, values in rows for value in values] + [1e-9])
    parts = [_text(LABEL, 16, f"{plan.method}: gates over {plan.steps} steps, up to {most:.2g}")]
    for index, (label, values) in enumerate(rows):
        y = TOP + ROW * index
        parts.append(_text(LABEL - 8, y + 13, label, anchor="end", size=11))
        parts += [_cell(LABEL + CELL * s, y, value / most) for s, value in enumerate(values)]
    bottom = TOP + ROW * len(rows)
    parts.append(_text(LABEL, bottom + 16, _mixing(plan), size=11))
    width, height = LABEL + CELL * plan.steps + 20, bottom + 28
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" fill="{INK}">\n<rect width="{width}" height="{height}" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _rows(plan: lf.Plan) -> list[tuple[str, list[float]]]:
    """What is open on each branch; a branch where nothing ever is has one row. Many are cut short."""
    rows: list[tuple[str, list[float]]] = []
    for branch in range(plan.branches):
        before = f"branch {branch + 1}: " if plan.branches > 1 else ""
        found = [
            (before + _name(lora), plan.gates[:, branch, index].tolist())
            for index, lora in enumerate(plan.loras)
            if plan.branches == 1 or plan.gates[:, branch, index].abs().max() > 0
        ]
        rows += found or [(before + "no LoRA", [0.0] * plan.steps)]
    if len(rows) > MOST:
        rest = len(rows) - MOST
        rows = [*rows[:MOST], (f"and {rest} more", [0.0] * plan.steps)]
    return rows


def _name(lora: lf.LoRA) -> str:
    made = sources_of(lora)
    if len(made) > 1:
        return f"one LoRA of {len(made)}"
    name = made[0]["name"]
    layers = f", {len(lora.deltas)} layers" if made[0]["weight"] != 1 else ""
    return f"{name}{layers}"


def _mixing(plan: lf.Plan) -> str:
    if plan.mixer is not None:
        return "one prediction a branch; a function of the predictions makes one of them"
    if plan.branches == 1:
        return "one prediction a step"
    first, last = ([f"{share:.2f}" for share in plan.mix[step].tolist()] for step in (0, -1))
    changes = "" if first == last else f" at first, {' : '.join(last)} at last"
    return f"one prediction a branch, averaged {' : '.join(first)}{changes}"


def _cell(x: int, y: int, value: float) -> str:
    share = min(abs(value), 1.0)
    red, green, blue = (round(255 + (part - 255) * share) for part in COLOUR)
    return (
        f'<rect x="{x}" y="{y}" width="{CELL - 1}" height="{ROW - 2}" fill="rgb({red},{green},{blue})" '
        f'stroke="{PALE}"/>'
    )


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
