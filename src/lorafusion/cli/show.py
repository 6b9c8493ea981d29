"""What the commands print: JSON documents, tables and bars."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lorafusion.plan import Candidate, Route
    from lorafusion.routing.effects import Effect

BAR = 20
"""Characters of the longest bar."""

PARTS = " ▏▎▍▌▋▊▉█"
"""A character cell, filled by eighths."""


NUMBERS = ("weight", "score", "margin")
"""Columns that are aligned to the right."""


def console(*, error: bool = False) -> Console:
    """A console that prints names as they are: no markup, no colours of its own choice."""
    stream = sys.stderr if error else sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")  # a terminal may lack a letter of a prompt
    return Console(stderr=error, markup=False, highlight=False, emoji=False)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Say on stderr, where that is a terminal, what takes a while; gone when it is done."""
    out = console(error=True)
    with out.status(text) if out.is_terminal else nullcontext():
        yield


def document(content: object) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")


def json_line(content: object) -> None:
    """Print one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


def line(text: str) -> None:
    """Print one line on stdout, never wrapped."""
    console().print(text, soft_wrap=True)


def bar(value: float, most: float, *, ascii_only: bool = False) -> str:
    """A bar of at most `BAR` characters, in the ratio of `value` to `most`; never quite nothing."""
    share = 0.0 if most <= 0 else min(max(value / most, 0.0), 1.0)
    eighths = max(round(share * BAR * 8), int(share > 0))
    if ascii_only:
        return "#" * -(-eighths // 8)
    return (PARTS[8] * (eighths // 8) + PARTS[eighths % 8]).rstrip()


def weights(route: Route, *, left_out: bool = False) -> None:
    """Print the LoRAs of a route: bar, weight, score, the phrase that asked, or why not."""
    out = console()
    rows = route.candidates if left_out else route.chosen
    if not rows:
        line("No LoRA was chosen: the base model alone.")
        return
    most = max((candidate.weight for candidate in rows), default=0.0)
    ascii_only = not out.encoding.startswith("utf")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("LoRA", "category", "weight", "", "score", "margin", "asked for by"):
        table.add_column(name, justify="right" if name in NUMBERS else "left")
    for candidate in rows:
        table.add_row(*_cells(candidate, bar(candidate.weight, most, ascii_only=ascii_only)))
    out.print(table)


def rows(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print a plain table."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    for cells in lines:
        table.add_row(*(Text(cell) for cell in cells))
    console().print(table)


def route_document(route: Route) -> dict[str, object]:
    """A route as JSON."""
    return {
        "prompt": route.prompt,
        "router": route.router,
        "candidates": [
            {
                "name": candidate.name,
                "category": candidate.source.category,
                "score": candidate.score,
                "margin": candidate.margin,
                "weight": candidate.weight,
                "phrase": candidate.phrase,
                "left_out": candidate.left_out,
            }
            for candidate in route.candidates
        ],
    }


def short_document(route: Route) -> dict[str, object]:
    """A route as a short JSON object: the chosen LoRAs, and why each other one was left out."""
    return {
        "prompt": route.prompt,
        "loras": [
            {"name": one.name, "weight": one.weight, "score": one.score, "phrase": one.phrase}
            for one in route.chosen
        ],
        "left_out": [
            {"name": one.name, "score": one.score, "reason": one.left_out}
            for one in route.candidates
            if one.left_out
        ],
    }


def effects(found: Sequence[Effect]) -> None:
    """Print what happens to the weights without each phrase that matters."""
    lines = [
        (one.phrase, ", ".join(f"{name} {-change:+.2f}" for name, change in one.changes.items()))
        for one in found
        if one.changes
    ]
    if lines:
        line("")
        rows(("without", "weights change by"), lines)


def _cells(candidate: Candidate, drawn: str) -> list[Text]:
    style = "dim" if candidate.left_out else ""
    why = f"left out: {candidate.left_out}" if candidate.left_out else candidate.phrase
    return [
        Text(candidate.name, style="dim" if candidate.left_out else "bold"),
        Text(candidate.source.category, style=style),
        Text(f"{candidate.weight:.3f}", style=style),
        Text(drawn, style="cyan"),
        Text(f"{candidate.score:.3f}", style=style),
        Text(f"{candidate.margin:+.2f}", style=style),
        Text(why, style=style),
    ]
