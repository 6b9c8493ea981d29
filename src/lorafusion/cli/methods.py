"""``lorafusion methods``: what there is to choose from."""

from __future__ import annotations

import inspect
from typing import Any

from lorafusion.cli import show
from lorafusion.cli.options import Json


def methods(json: Json = False) -> None:
    """List the ways to compose LoRAs, their papers and their options."""
    from lorafusion.methods import METHODS, options_of

    listed = [
        {"name": name, **described(METHODS[name]), "options": options_of(name)} for name in METHODS
    ]
    if json:
        show.document({"methods": listed})
        return
    for method in listed:
        given = ", ".join(f"{key}={value}" for key, value in method["options"].items())
        out = show.console()
        out.print(method["name"], style="bold cyan")
        for text in (method["summary"], method["paper"], given and f"options: {given}"):
            if text:
                out.print(f"  {text}", soft_wrap=True)


def described(method: Any) -> dict[str, Any]:
    """What a method's file says of itself: one line, and the paper it comes from.

    The paper is the second paragraph of the file's docstring or what follows "Source:" in the
    function's own.
    """
    paragraphs = [*_paragraphs(inspect.getmodule(method)), "", ""]
    sources = [p.partition("Source:")[2] for p in _paragraphs(method) if "Source:" in p]
    summary = paragraphs[0].partition(": ")[2] or paragraphs[0]
    return {"summary": summary, "paper": paragraphs[1] or "".join(sources[:1]).strip()}


def _paragraphs(thing: object) -> list[str]:
    text = inspect.getdoc(thing) or ""
    return [" ".join(part.split()) for part in text.split("\n\n")]
