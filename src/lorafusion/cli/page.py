"""A route as one small HTML page: the prompt with its phrases marked, and bars. No scripts."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from lorafusion.cli.show import NEAREST, strength
from lorafusion.plan import Candidate, Route
from lorafusion.routing.effects import Effect

COLOURS = ("#ffd54f", "#80cbc4", "#f48fb1", "#90caf9", "#c5e1a5", "#ffab91", "#ce93d8", "#bcaaa4")
"""Of the phrases, in turn; dark text is readable on each."""

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
.prompt{font-size:1.4rem;margin:1rem 0}mark{padding:.1em .25em;border-radius:.3em;color:#222}
table{border-collapse:collapse;width:100%;margin:1rem 0}th{text-align:left;color:#666;font-weight:normal}
td,th{padding:.25rem .6rem .25rem 0;vertical-align:top}.n{text-align:right;font-variant-numeric:tabular-nums}
.bar{width:12rem}.bar div{height:1rem;border-radius:.2rem;margin-top:.25rem}.out{color:#777}small{color:#777}
"""


def page(route: Route, effects: Sequence[Effect]) -> str:
    """The whole page, in UTF-8 text."""
    colours = {c.name: COLOURS[i % len(COLOURS)] for i, c in enumerate(route.chosen)}
    left_out = [c for c in route.candidates if c.left_out]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{_safe(route.text)}</title><style>{_STYLE}</style></head><body>",
        f'<p class="prompt">{_marked(route, colours)}</p>',
        _added(route),
        _chosen(route, colours),
        _effects(effects),
        _left_out(left_out),
        f"<p><small>{_safe(route.router)}</small></p></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _safe(text: str) -> str:
    return html.escape(text, quote=True)


def _marked(route: Route, colours: dict[str, str]) -> str:
    """The prompt with each phrase in the colour of the LoRA it asked for; the first of two wins."""
    taken: list[tuple[int, int, Candidate]] = []
    for candidate in sorted(route.chosen, key=lambda c: -len(c.phrase)):
        pattern = r"\s+".join(map(re.escape, candidate.phrase.split()))
        for match in re.finditer(pattern, route.text) if pattern else ():
            start, end = match.span()
            if all(end <= a or start >= b for a, b, _ in taken):
                taken.append((start, end, candidate))
    pieces, at = [], 0
    for start, end, candidate in sorted(taken, key=lambda one: one[0]):
        title = f"{candidate.name}: {candidate.weight:.2f}"
        pieces.append(_safe(route.text[at:start]))
        pieces.append(
            f'<mark style="background:{colours[candidate.name]}" title="{_safe(title)}">'
            f"{_safe(route.text[start:end])}</mark>"
        )
        at = end
    return "".join(pieces) + _safe(route.text[at:])


def _added(route: Route) -> str:
    if not route.added:
        return ""
    words = _safe(", ".join(route.added))
    return f"<p>Trigger words added: {words}. The model reads: {_safe(route.prompt)}</p>"


def _chosen(route: Route, colours: dict[str, str]) -> str:
    if not route.chosen:
        return "<p>No LoRA was chosen: the base model alone.</p>"
    most = max(max(abs(c.weight) for c in route.chosen), 1e-9)
    rows = [
        f"<tr><td><b>{_safe(c.name)}</b></td><td>{_safe(c.source.category)}</td>"
        f'<td class="n">{c.weight:.3f}</td><td class="n">{_safe(strength(c))}</td><td class="bar"><div style="width:'
        f'{max(c.weight, 0) / most:.1%};background:{colours[c.name]}"></div></td>'
        f'<td class="n">{c.score:.2f}</td><td class="n">{c.margin:+.2f}</td>'
        f"<td>{'pinned' if c.pinned else _safe(c.phrase)}</td></tr>"
        for c in route.chosen
    ]
    head = _head(("LoRA", ""), ("category", ""), ("weight", "n"), ("strength", "n"), ("", ""))
    head += _head(("score", "n"))
    return f"<table><tr>{head}{_head(('margin', 'n'), ('asked for by', ''))}</tr>{''.join(rows)}</table>"


def _effects(effects: Sequence[Effect]) -> str:
    told = [
        f"<tr><td>{_safe(effect.phrase)}</td><td>{_safe(_changes(effect))}</td></tr>"
        for effect in effects
        if effect.changes
    ]
    if not told:
        return ""
    return f"<table><tr>{_head(('without', ''), ('weights change by', ''))}</tr>{''.join(told)}</table>"


def _changes(effect: Effect) -> str:
    return ", ".join(f"{name} {-change:+.2f}" for name, change in effect.changes.items())


def _left_out(left_out: Sequence[Candidate]) -> str:
    if not left_out:
        return ""
    rows = [
        f'<tr class="out"><td>{_safe(c.name)}</td><td class="n">{c.score:.2f}</td>'
        f"<td>{_safe(c.left_out)}</td></tr>"
        for c in left_out[:NEAREST]
    ]
    more = len(left_out) - NEAREST
    rest = f"<p><small>and {more} more were left out</small></p>" if more > 0 else ""
    return f"<table><tr>{_head(('left out', ''), ('score', 'n'), ('why', ''))}</tr>{''.join(rows)}</table>{rest}"


def _head(*titles: tuple[str, str]) -> str:
    return "".join(f'<th class="{kind}">{_safe(text)}</th>' for text, kind in titles)
