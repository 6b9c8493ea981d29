"""What the commands print: JSON documents, tables and bars. Rich is imported where something is drawn."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lorafusion.cli.columns import columns

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from lorafusion.plan import Candidate, Route
    from lorafusion.routing.effects import Effect

BAR = 20
"""Characters of the longest bar."""

MANY = 200
"""Entries of a list from which on it is written quickly: indenting ten thousand takes a second."""

PARTS = " ▏▎▍▌▋▊▉█"
"""A character cell, filled by eighths."""


TITLES = ("score", "margin", "asked for by")
NUMBERS = ("weight", "score", "margin")
"""Columns that are aligned to the right."""
NEAREST = 12
"""LoRAs that were left out and are shown: the nearest ones."""


def console(*, error: bool = False) -> Console:
    """A console that prints names as they are: no markup, no colours of its own choice."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")  # a terminal may lack a letter of a prompt
    return Console(stderr=error, markup=False, highlight=False, emoji=False)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Say on stderr, where that is a terminal, what takes a while; gone when it is done."""
    if not sys.stderr.isatty():
        yield
        return
    with console(error=True).status(text):
        yield


def document(content: object) -> None:
    """Print one JSON document on stdout, indented.

    The entries of a long list are a line each; they are objects that begin with the same field.
    """
    if isinstance(content, dict) and any(_is_long(value) for value in content.values()):
        fields = (f"  {json.dumps(key)}: {_told(value)}" for key, value in content.items())
        sys.stdout.write("{\n" + ",\n".join(fields) + "\n}\n")
        return
    sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")


def _is_long(value: object) -> bool:
    return isinstance(value, list) and len(value) > MANY


def _told(value: object) -> str:
    if not isinstance(value, list) or not _is_long(value):
        return json.dumps(value, indent=2, allow_nan=False).replace("\n", "\n  ")
    # All at once, which is quicker, and parted where an entry begins. No string can hold that beginning: a
    # quote inside of one is escaped, and behind its last one stands no letter.
    begins = "{" + json.dumps(next(iter(value[0])))
    entries = json.dumps(value, allow_nan=False)[1:-1].replace(f", {begins}", f",\n    {begins}")
    return f"[\n    {entries}\n  ]"


def json_line(content: object) -> None:
    """Print one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


def line(text: str) -> None:
    """Print one line on stdout, never wrapped."""
    console().print(text, soft_wrap=True)


def bar(value: float, most: float, width: int = BAR, *, ascii_only: bool = False) -> str:
    """A bar of at most `width` characters, in the ratio of `value` to `most`; never quite nothing."""
    share = 0.0 if most <= 0 else min(max(value / most, 0.0), 1.0)
    eighths = max(round(share * width * 8), int(share > 0))
    if ascii_only:
        return "#" * -(-eighths // 8)
    return (PARTS[8] * (eighths // 8) + PARTS[eighths % 8]).rstrip()


def weights(route: Route) -> None:
    """Print the chosen LoRAs of a route; strengths where one is not 1."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    if not route.chosen:
        line("No LoRA was chosen: the base model alone.")
        return
    most = max(candidate.weight for candidate in route.chosen)
    ascii_only = not out.encoding.startswith("utf")
    liked = any(candidate.strengths != (1.0, 1.0) for candidate in route.chosen)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("LoRA", "category", "weight", "", *["strength"] * liked, *TITLES):
        table.add_column(
            name, justify="right" if name in NUMBERS else "left", no_wrap=name != TITLES[-1]
        )
    for candidate in route.chosen:
        drawn = bar(candidate.weight, most, BAR // 2 if liked else BAR, ascii_only=ascii_only)
        told = [Text(strength(candidate))] * liked
        table.add_row(*_cells(candidate, drawn), *told, *_evidence(candidate))
    out.print(table)


def left_out(route: Route) -> None:
    """Print the LoRAs that were not chosen, the nearest ones, and why."""
    others = [candidate for candidate in route.candidates if candidate.left_out]
    if not others:
        return
    line("")
    rows = [(c.name, c.source.category, f"{c.score:.3f}", c.left_out) for c in others[:NEAREST]]
    columns(("left out", "category", "score", "why"), rows)
    if len(others) > NEAREST:
        line(f"and {len(others) - NEAREST} more; --json lists them all")


def strength(candidate: Candidate) -> str:
    """What weight 1 of a LoRA means: "0.8", or "0.8, text 0.5"."""
    denoiser, text = candidate.strengths
    return f"{denoiser:.3g}" if denoiser == text else f"{denoiser:.3g}, text {text:.3g}"


def added(route: Route) -> None:
    """Print which trigger words were put into the prompt, and the prompt that the model reads."""
    if route.added:
        line(f"trigger words added: {', '.join(route.added)}")
        line(f"the model reads: {route.prompt}")


def rows(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print a plain table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    for cells in lines:
        table.add_row(*(Text(cell) for cell in cells))
    console().print(table)


def route_document(route: Route) -> dict[str, object]:
    """A route as JSON."""
    return {
        "prompt": route.text,
        "encoded": route.prompt,
        "triggers": list(route.added),
        "router": route.router,
        "candidates": [
            {
                "name": candidate.name,
                "category": candidate.source.category,
                "score": candidate.score,
                "margin": candidate.margin,
                "weight": candidate.weight,
                "strength": candidate.strengths[0],
                "text_strength": candidate.strengths[1],
                "pinned": candidate.pinned,
                "phrase": candidate.phrase,
                "left_out": candidate.left_out,
            }
            for candidate in route.candidates
        ],
    }


def short_document(route: Route) -> dict[str, object]:
    """A route as a short JSON object: the chosen LoRAs, and why each other one was left out."""
    return {
        "prompt": route.text,
        "encoded": route.prompt,
        "loras": [
            {
                "name": one.name,
                "weight": one.weight,
                "strength": one.strengths[0],
                "text_strength": one.strengths[1],
                "score": one.score,
                "phrase": one.phrase,
                "pinned": one.pinned,
            }
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
    from rich.text import Text

    return [
        Text(candidate.name, style="bold"),
        Text(candidate.source.category),
        Text(f"{candidate.weight:.3f}"),
        Text(drawn, style="cyan"),
    ]


def _evidence(candidate: Candidate) -> list[Text]:
    from rich.text import Text

    if candidate.pinned:  # what the router thinks of it does not matter
        return [Text(), Text(), Text("pinned")]
    return [
        Text(f"{candidate.score:.3f}"),
        Text(f"{candidate.margin:+.2f}"),
        Text(candidate.phrase),
    ]
