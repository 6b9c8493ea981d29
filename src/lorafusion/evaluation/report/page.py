"""Page: a whole report as one HTML file: tables, plots, and contact sheets with the images inside."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from lorafusion.evaluation.report.plot import plot
from lorafusion.evaluation.report.tables import arm_cells, duel_cells
from lorafusion.evaluation.runner.cells import Unit, units
from lorafusion.evaluation.runner.config import Bench

SIDE = 192
"""Pixels of the longer side of a picture on a contact sheet; smaller ones are enlarged by whole numbers."""

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #ddd}
td{white-space:nowrap}.wide{overflow-x:auto}td:first-child,th:first-child{text-align:left}th{color:#666;font-weight:normal}
.sheet{display:flex;flex-wrap:wrap;gap:.6rem;margin:.5rem 0 2rem}figure{margin:0;font-size:.8rem;color:#555}
img{display:block;image-rendering:pixelated}small{color:#666}
"""


def page(bench: Bench, summary: Mapping[str, Any], *, sheets: int) -> str:
    """The whole page.

    Args:
        bench: the run; its images are read.
        summary: as `lorafusion.evaluation.report.summary` gives it.
        sheets: how many sets are shown, those first in the testbed.
    """
    run = summary["run"]
    sets = ", ".join(f"{count} of {size} LoRAs" for size, count in run["sets"].items())
    told = f"testbed {run['testbed']}; sets: {sets}; {run['seeds']} images of each; router {run['router']}"
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f"<title>{_safe(bench.bed.name)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_safe(bench.bed.name)}</h1><p>{_safe(told)}</p>",
        _table(*arm_cells(summary)),
        "".join(f"<p><small>{_safe(line)}</small></p>" for line in summary["about"]),
        "".join(plot(summary, measure) for measure in summary["measures"]),
        _duels(summary),
        f"<p><small>{_safe(_words(summary['provenance']))}</small></p>",
        _sheets(bench, sheets),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def picture(path: Path, side: int = SIDE) -> str:
    """An ``img`` with the pixels inside; small pictures keep their hard edges."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    longer = max(image.size)
    if longer <= side:
        zoom = side // longer
        size, method = (image.width * zoom, image.height * zoom), Image.Resampling.NEAREST
    else:
        size = (max(1, image.width * side // longer), max(1, image.height * side // longer))
        method = Image.Resampling.LANCZOS
    buffer = io.BytesIO()
    image.resize(size, method).save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img width="{size[0]}" height="{size[1]}" alt="" src="data:image/png;base64,{data}">'


def _duels(summary: Mapping[str, Any]) -> str:
    return "\n".join(
        f"<h3>{_safe(measure)}, pairs of methods</h3>{_table(*duel_cells(found))}"
        for measure, found in summary["duels"].items()
        if found
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = "".join(f"<th>{_safe(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{first}</tr>{body}</table></div>'


def _sheets(bench: Bench, count: int) -> str:
    by_set: dict[str, list[Unit]] = {}
    for unit in units(bench):
        if not unit.missing(bench.out):
            by_set.setdefault(unit.combination.name, []).append(unit)
    parts = []
    for found in list(by_set.values())[:count]:
        parts.append(f"<h3>{_safe(found[0].combination.prompt)}</h3>")
        figures = [
            f"<figure>{picture(cell.path(bench.out))}"
            f"{_safe(f'{unit.arm.name} {cell.variant}'.strip())}</figure>"
            for unit in found
            for cell in unit.cells
            if cell.seed == 0
        ]
        parts.append(f'<div class="sheet">{"".join(figures)}</div>')
    return "\n".join(parts)


def _words(told: Mapping[str, Any]) -> str:
    """Names and values for people: "torch 2.13, python 3.11"."""
    return ", ".join(
        _words(value) if isinstance(value, Mapping) else f"{name} {value}"
        for name, value in told.items()
    )


def _safe(text: str) -> str:
    return html.escape(text, quote=True)
